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

// The function of N spatial axes.
template <size_t N, class F>
void bind_forward(nb::module_& m,
                  const char* name,
                  F* function,
                  const char* input,
                  const char* weight) {
  const std::string doc = std::string("Cross-correlation of input ") + input +
                          " with weight " + weight + ".";
  m.def(
      name,
      [function](const array& x,
                 const array& w,
                 const IntOrShape& stride,
                 const IntOrShape& padding,
                 const IntOrShape& dilation,
                 int groups,
                 const S& s) {
        return wrap(function(x,
                             w,
                             spread<N>(stride, "stride"),
                             spread<N>(padding, "padding"),
                             spread<N>(dilation, "dilation"),
                             groups,
                             s));
      },
      nb::arg("input"),
      nb::arg("weight"),
      nb::arg("stride") = 1,
      nb::arg("padding") = 0,
      nb::arg("dilation") = 1,
      nb::arg("groups") = 1,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      doc.c_str());
}

// The function of N spatial axes.
template <size_t N, class F>
void bind_transposed(nb::module_& m,
                     const char* name,
                     F* function,
                     const char* input,
                     const char* weight) {
  const std::string doc = std::string("Transposed convolution of input ") +
                          input + " with weight " + weight + ".";
  m.def(
      name,
      [function](const array& x,
                 const array& w,
                 const IntOrShape& stride,
                 const IntOrShape& padding,
                 const IntOrShape& dilation,
                 const IntOrShape& output_padding,
                 int groups,
                 const S& s) {
        return wrap(function(x,
                             w,
                             spread<N>(stride, "stride"),
                             spread<N>(padding, "padding"),
                             spread<N>(dilation, "dilation"),
                             spread<N>(output_padding, "output_padding"),
                             groups,
                             s));
      },
      nb::arg("input"),
      nb::arg("weight"),
      nb::arg("stride") = 1,
      nb::arg("padding") = 0,
      nb::arg("dilation") = 1,
      nb::arg("output_padding") = 0,
      nb::arg("groups") = 1,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      doc.c_str());
}

void bind_all_forward(nb::module_& m) {
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
  bind_forward<2>(
      m, "conv2d", conv2d, "(N, H, W, C)", "(O, KH, KW, C / groups)");
  bind_forward<3>(
      m, "conv3d", conv3d, "(N, D, H, W, C)", "(O, KD, KH, KW, C / groups)");
}

void bind_all_transposed(nb::module_& m) {
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
  bind_transposed<2>(m,
                     "conv_transpose2d",
                     conv_transpose2d,
                     "(N, H, W, C)",
                     "(O, KH, KW, C / groups)");
  bind_transposed<3>(m,
                     "conv_transpose3d",
                     conv_transpose3d,
                     "(N, D, H, W, C)",
                     "(O, KD, KH, KW, C / groups)");
}

}  // namespace

void bind_conv(nb::module_& m) {
  bind_all_forward(m);
  bind_all_transposed(m);
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
