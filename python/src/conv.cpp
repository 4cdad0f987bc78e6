// Convolutions.
#include "treadle/ops/conv.h"

#include <string>
#include <tuple>
#include <utility>
#include <variant>

#include <nanobind/stl/pair.h>
#include <nanobind/stl/variant.h>

#include "treadle/base/error.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;

// One number for all spatial axes, or one for each of N.
template <size_t N>
auto spread(const IntOrShape& v, const char* what) {
  const Shape& s = v.shape;
  if (s.size() != 1 && s.size() != N) {
    invalid("conv",
            std::string(what) + " has " + std::to_string(s.size()) +
                " numbers; expected one or " + std::to_string(N) + ".");
  }
  auto at = [&](size_t i) { return int(s.size() == 1 ? s[0] : s[i]); };
  if constexpr (N == 2) {
    return std::pair(at(0), at(1));
  } else {
    return std::tuple(at(0), at(1), at(2));
  }
}

// padding of conv_general: one number, one for each axis, or a pair of lists:
// before and after.
using Padding = std::variant<IntOrShape, std::pair<Shape, Shape>>;

array general(const array& input,
              const array& weight,
              const IntOrShape& stride,
              const Padding& padding,
              const IntOrShape& kernel_dilation,
              const IntOrShape& input_dilation,
              int groups,
              bool flip,
              const S& s) {
  const auto* both = std::get_if<IntOrShape>(&padding);
  const auto* sides = std::get_if<std::pair<Shape, Shape>>(&padding);
  return conv_general(input,
                      weight,
                      stride.shape,
                      both ? both->shape : sides->first,
                      both ? both->shape : sides->second,
                      kernel_dilation.shape,
                      input_dilation.shape,
                      groups,
                      flip,
                      s);
}

void bind_forward(nb::module_& m) {
  auto input = nb::arg("input"), weight = nb::arg("weight");
  auto stride = nb::arg("stride") = 1, padding = nb::arg("padding") = 0,
       dilation = nb::arg("dilation") = 1, groups = nb::arg("groups") = 1;
  auto stream = nb::arg("stream") = nb::none();
  m.def(
      "conv1d",
      [](const array& x,
         const array& w,
         int stride,
         int padding,
         int dilation,
         int groups,
         const S& s) {
        return wrap(conv1d(x, w, stride, padding, dilation, groups, s));
      },
      input,
      weight,
      stride,
      padding,
      dilation,
      groups,
      nb::kw_only(),
      stream,
      "Cross-correlation of input (N, L, C) with weight (O, K, C / groups).");
  m.def(
      "conv2d",
      [](const array& x,
         const array& w,
         const IntOrShape& stride,
         const IntOrShape& padding,
         const IntOrShape& dilation,
         int groups,
         const S& s) {
        return wrap(conv2d(x,
                           w,
                           spread<2>(stride, "stride"),
                           spread<2>(padding, "padding"),
                           spread<2>(dilation, "dilation"),
                           groups,
                           s));
      },
      input,
      weight,
      stride,
      padding,
      dilation,
      groups,
      nb::kw_only(),
      stream,
      "Cross-correlation of input (N, H, W, C) with weight "
      "(O, KH, KW, C / groups).");
  m.def(
      "conv3d",
      [](const array& x,
         const array& w,
         const IntOrShape& stride,
         const IntOrShape& padding,
         const IntOrShape& dilation,
         int groups,
         const S& s) {
        return wrap(conv3d(x,
                           w,
                           spread<3>(stride, "stride"),
                           spread<3>(padding, "padding"),
                           spread<3>(dilation, "dilation"),
                           groups,
                           s));
      },
      input,
      weight,
      stride,
      padding,
      dilation,
      groups,
      nb::kw_only(),
      stream,
      "Cross-correlation of input (N, D, H, W, C) with weight "
      "(O, KD, KH, KW, C / groups).");
}

void bind_transposed(nb::module_& m) {
  auto input = nb::arg("input"), weight = nb::arg("weight");
  auto stride = nb::arg("stride") = 1, padding = nb::arg("padding") = 0,
       dilation = nb::arg("dilation") = 1,
       output_padding = nb::arg("output_padding") = 0,
       groups = nb::arg("groups") = 1;
  auto stream = nb::arg("stream") = nb::none();
  m.def(
      "conv_transpose1d",
      [](const array& x,
         const array& w,
         int stride,
         int padding,
         int dilation,
         int output_padding,
         int groups,
         const S& s) {
        return wrap(conv_transpose1d(
            x, w, stride, padding, dilation, output_padding, groups, s));
      },
      input,
      weight,
      stride,
      padding,
      dilation,
      output_padding,
      groups,
      nb::kw_only(),
      stream,
      "Transposed convolution of input (N, L, C) with weight "
      "(O, K, C / groups): `stride` widens the input.");
  m.def(
      "conv_transpose2d",
      [](const array& x,
         const array& w,
         const IntOrShape& stride,
         const IntOrShape& padding,
         const IntOrShape& dilation,
         const IntOrShape& output_padding,
         int groups,
         const S& s) {
        return wrap(
            conv_transpose2d(x,
                             w,
                             spread<2>(stride, "stride"),
                             spread<2>(padding, "padding"),
                             spread<2>(dilation, "dilation"),
                             spread<2>(output_padding, "output_padding"),
                             groups,
                             s));
      },
      input,
      weight,
      stride,
      padding,
      dilation,
      output_padding,
      groups,
      nb::kw_only(),
      stream,
      "Transposed convolution of input (N, H, W, C) with weight "
      "(O, KH, KW, C / groups).");
  m.def(
      "conv_transpose3d",
      [](const array& x,
         const array& w,
         const IntOrShape& stride,
         const IntOrShape& padding,
         const IntOrShape& dilation,
         const IntOrShape& output_padding,
         int groups,
         const S& s) {
        return wrap(
            conv_transpose3d(x,
                             w,
                             spread<3>(stride, "stride"),
                             spread<3>(padding, "padding"),
                             spread<3>(dilation, "dilation"),
                             spread<3>(output_padding, "output_padding"),
                             groups,
                             s));
      },
      input,
      weight,
      stride,
      padding,
      dilation,
      output_padding,
      groups,
      nb::kw_only(),
      stream,
      "Transposed convolution of input (N, D, H, W, C) with weight "
      "(O, KD, KH, KW, C / groups).");
}

}  // namespace

void bind_conv(nb::module_& m) {
  bind_forward(m);
  bind_transposed(m);
  m.def(
      "conv_general",
      [](const array& x,
         const array& w,
         const IntOrShape& stride,
         const Padding& padding,
         const IntOrShape& kernel_dilation,
         const IntOrShape& input_dilation,
         int groups,
         bool flip,
         const S& s) {
        return wrap(general(x,
                            w,
                            stride,
                            padding,
                            kernel_dilation,
                            input_dilation,
                            groups,
                            flip,
                            s));
      },
      nb::arg("input"),
      nb::arg("weight"),
      nb::arg("stride") = 1,
      nb::arg("padding") = 0,
      nb::arg("kernel_dilation") = 1,
      nb::arg("input_dilation") = 1,
      nb::arg("groups") = 1,
      nb::arg("flip") = false,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "Cross-correlation over any number of spatial axes; flip makes it a "
      "convolution. padding: an int, one for each axis, or (before, after).");
}

}  // namespace treadle::python
