// Convolutions over 1, 2 or 3 spatial axes, channels last.
//
// One trilinear form T(x, w, y) = sum y * conv(x, w) is behind all three ops:
// Conv is its derivative by y, ConvInputGrad by x, ConvWeightGrad by w. So each
// one's derivatives are the other two.
#pragma once

#include <tuple>
#include <utility>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle {

// One entry for each spatial axis. Element `o` of the result meets element `k`
// of the kernel at position o * stride - low + k * kernel_dilation of the input
// with input_dilation - 1 zeros between its elements; outside of it are zeros,
// `low` before and `high` after. Negative padding cuts off.
struct ConvGeometry {
  Shape stride, low, high, kernel_dilation, input_dilation;
  // Input and output channels are cut into `groups` parts that meet part by
  // part.
  int groups = 1;
  // Read the kernel backwards.
  bool flip = false;

  size_t spatial() const { return stride.size(); }
  auto tie() const {
    return std::tie(
        stride, low, high, kernel_dilation, input_dilation, groups, flip);
  }
  // Spatial lengths of the result; throws when the kernel does not fit.
  Shape output(const Shape& input, const Shape& weight) const;
};

// x (N, ..., C), w (O, ..., C / groups) -> (N, ..., O), of one floating dtype.
struct Conv : OpBase<Conv> {
  static constexpr std::string_view op_name = "conv";
  ConvGeometry geometry;

  auto fields() const { return geometry.tie(); }
  TREADLE_RULES
};

// w (O, ..., C / groups), ct (N, ..., O) -> (N, ..., C): the cotangent of
// Conv's input, whose spatial lengths are `spatial`.
struct ConvInputGrad : OpBase<ConvInputGrad> {
  static constexpr std::string_view op_name = "conv_input_grad";
  ConvGeometry geometry;
  Shape spatial;

  auto fields() const { return geometry.tie(); }
  auto sizes() const { return std::tie(spatial); }
  TREADLE_RULES
};

// x (N, ..., C), ct (N, ..., O) -> (O, ..., C / groups): the cotangent of
// Conv's weight, whose spatial lengths are `spatial`.
struct ConvWeightGrad : OpBase<ConvWeightGrad> {
  static constexpr std::string_view op_name = "conv_weight_grad";
  ConvGeometry geometry;
  Shape spatial;

  auto fields() const { return geometry.tie(); }
  auto sizes() const { return std::tie(spatial); }
  TREADLE_RULES
};

// A matrix product, a convolution or one of its gradients.
bool is_product(const Op& op);

// input (N, ..., C), weight (O, ..., C / groups) -> (N, ..., O), both floating,
// promoted to one dtype. Without `flip` this is a cross-correlation. A list may
// be empty (its default), have one entry for all spatial axes, or one for each.
array conv_general(const array& input,
                   const array& weight,
                   const Shape& stride = {},
                   const Shape& padding_lo = {},
                   const Shape& padding_hi = {},
                   const Shape& kernel_dilation = {},
                   const Shape& input_dilation = {},
                   int groups = 1,
                   bool flip = false,
                   StreamOrDevice s = {});

// x (N, L, C), w (O, K, C / groups).
array conv1d(const array& input,
             const array& weight,
             int stride = 1,
             int padding = 0,
             int dilation = 1,
             int groups = 1,
             StreamOrDevice s = {});
// x (N, H, W, C), w (O, KH, KW, C / groups).
array conv2d(const array& input,
             const array& weight,
             const std::pair<int, int>& stride = {1, 1},
             const std::pair<int, int>& padding = {0, 0},
             const std::pair<int, int>& dilation = {1, 1},
             int groups = 1,
             StreamOrDevice s = {});
// x (N, D, H, W, C), w (O, KD, KH, KW, C / groups).
array conv3d(const array& input,
             const array& weight,
             const std::tuple<int, int, int>& stride = {1, 1, 1},
             const std::tuple<int, int, int>& padding = {0, 0, 0},
             const std::tuple<int, int, int>& dilation = {1, 1, 1},
             int groups = 1,
             StreamOrDevice s = {});

// Transposed convolutions: `stride` widens the input, the result has
// (L - 1) * stride - 2 * padding + dilation * (K - 1) + 1 + output_padding
// elements along an axis.
array conv_transpose1d(const array& input,
                       const array& weight,
                       int stride = 1,
                       int padding = 0,
                       int dilation = 1,
                       int output_padding = 0,
                       int groups = 1,
                       StreamOrDevice s = {});
array conv_transpose2d(const array& input,
                       const array& weight,
                       const std::pair<int, int>& stride = {1, 1},
                       const std::pair<int, int>& padding = {0, 0},
                       const std::pair<int, int>& dilation = {1, 1},
                       const std::pair<int, int>& output_padding = {0, 0},
                       int groups = 1,
                       StreamOrDevice s = {});
array conv_transpose3d(const array& input,
                       const array& weight,
                       const std::tuple<int, int, int>& stride = {1, 1, 1},
                       const std::tuple<int, int, int>& padding = {0, 0, 0},
                       const std::tuple<int, int, int>& dilation = {1, 1, 1},
                       const std::tuple<int, int, int>& output_padding = {0,
                                                                          0,
                                                                          0},
                       int groups = 1,
                       StreamOrDevice s = {});

}  // namespace treadle
