// RMS and layer normalisation over the last axis.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

// y = x / sqrt(mean(x^2) + eps) w. Inputs x (..., N) and, if has_weight,
// w (N,), of one floating dtype; half types are computed in float32.
struct RmsNorm : Composite<RmsNorm> {
  static constexpr std::string_view op_name = "rms_norm";
  double eps = 0;
  bool has_weight = false;

  auto fields() const { return std::tie(eps, has_weight); }
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  TREADLE_VJP
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
  Arrays expand(const Arrays& x) const override;
};

// y = (x - mean(x)) / sqrt(var(x) + eps) w + b. Inputs x (..., N), then w (N,)
// if has_weight, then b (N,) if has_bias.
struct LayerNorm : Composite<LayerNorm> {
  static constexpr std::string_view op_name = "layer_norm";
  double eps = 0;
  bool has_weight = false, has_bias = false;

  auto fields() const { return std::tie(eps, has_weight, has_bias); }
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  TREADLE_VJP
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
  Arrays expand(const Arrays& x) const override;
};

namespace fast {

// x / sqrt(mean(x^2) + eps) weight, the mean over the last axis. x (..., N),
// weight (N,) or null for 1; the result has x's shape and the dtype in which x
// and weight meet. Half types are computed in float32 and rounded once. Throws
// std::invalid_argument when x is a scalar, shapes differ or the dtype is not
// floating. (Zhang & Sennrich 2019, equation 4)
array rms_norm(const array& x,
               const array& weight,
               double eps,
               StreamOrDevice s = {});

// (x - mean(x)) / sqrt(var(x) + eps) weight + bias, over the last axis.
// x (..., N), weight and bias (N,) or null for 1 and 0; the result has x's
// shape and the dtype in which x, weight and, with a weight, bias meet. Half
// types are computed in float32 and rounded once. Throws std::invalid_argument
// as rms_norm does. (Ba, Kiros & Hinton 2016)
array layer_norm(const array& x,
                 const array& weight,
                 const array& bias,
                 double eps,
                 StreamOrDevice s = {});

}  // namespace fast
}  // namespace treadle
