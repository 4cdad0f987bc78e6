#include "treadle/nn/modules/conv.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/repr.h"

namespace treadle::nn {

ConvBase::ConvBase(
    int in, int out, const Shape& kernel, bool with_bias, Options options)
    : options_(std::move(options)) {
  Tree t = conv_init(in, out, kernel, std::max(options_.groups, 1), with_bias);
  weight = t.at("weight").leaf();
  if (with_bias) bias = t.at("bias").leaf();
}

array ConvBase::convolved(const array& x) const {
  const Call call(*this);
  return call(conv(x,
                   weight,
                   bias,
                   options_.stride,
                   options_.padding,
                   options_.dilation,
                   std::max(options_.groups, 1)));
}

array ConvBase::transposed(const array& x) const {
  const Call call(*this);
  return call(conv_transpose(x,
                             weight,
                             bias,
                             options_.stride,
                             options_.padding,
                             options_.dilation,
                             options_.output_padding));
}

namespace {

Shape kernel_of(const array& weight) {
  return {weight.shape().begin() + 1, weight.shape().end() - 1};
}

// As MLX prints a number of a layer of one axis, and tuples of others.
std::string shown(const Shape& s) {
  return s.size() == 1 ? std::to_string(s[0]) : to_string(s);
}

// Dilations are printed as they are given, mostly as one number.
std::string shown_short(const Shape& s) {
  const bool same =
      std::ranges::all_of(s, [&](int64_t v) { return v == s[0]; });
  return same ? std::to_string(s[0]) : to_string(s);
}

}  // namespace

std::string ConvBase::extra_repr() const {
  std::string text =
      fmt::format("{}, {}, kernel_size={}, stride={}, padding={}",
                  weight.shape(-1) * std::max(options_.groups, 1),
                  weight.shape(0),
                  shown(kernel_of(weight)),
                  shown(options_.stride),
                  shown(options_.padding));
  text += fmt::format(", dilation={}", shown_short(options_.dilation));
  if (options_.groups) text += fmt::format(", groups={}", options_.groups);
  if (!options_.output_padding.empty()) {
    text += fmt::format(", output_padding={}", shown(options_.output_padding));
  }
  return text + fmt::format(", bias={}", python(!bias.null()));
}

std::string ConvBase::brief() const {
  return fmt::format("{}->{}",
                     weight.shape(-1) * std::max(options_.groups, 1),
                     weight.shape(0));
}

Conv1d::Conv1d(int in_channels,
               int out_channels,
               int kernel_size,
               int stride,
               int padding,
               int dilation,
               int groups,
               bool with_bias)
    : ConvBase(in_channels,
               out_channels,
               {kernel_size},
               with_bias,
               {{stride}, {padding}, {dilation}, groups}) {}

Conv2d::Conv2d(int in_channels,
               int out_channels,
               Size2 kernel_size,
               Size2 stride,
               Size2 padding,
               Size2 dilation,
               int groups,
               bool with_bias)
    : ConvBase(in_channels,
               out_channels,
               kernel_size.shape(),
               with_bias,
               {stride.shape(), padding.shape(), dilation.shape(), groups}) {}

Conv3d::Conv3d(int in_channels,
               int out_channels,
               Size3 kernel_size,
               Size3 stride,
               Size3 padding,
               Size3 dilation,
               bool with_bias)
    : ConvBase(in_channels,
               out_channels,
               kernel_size.shape(),
               with_bias,
               {stride.shape(), padding.shape(), dilation.shape()}) {}

ConvTranspose1d::ConvTranspose1d(int in_channels,
                                 int out_channels,
                                 int kernel_size,
                                 int stride,
                                 int padding,
                                 int dilation,
                                 int output_padding,
                                 bool with_bias)
    : ConvBase(in_channels,
               out_channels,
               {kernel_size},
               with_bias,
               {{stride}, {padding}, {dilation}, 0, {output_padding}}) {}

ConvTranspose2d::ConvTranspose2d(int in_channels,
                                 int out_channels,
                                 Size2 kernel_size,
                                 Size2 stride,
                                 Size2 padding,
                                 Size2 dilation,
                                 Size2 output_padding,
                                 bool with_bias)
    : ConvBase(in_channels,
               out_channels,
               kernel_size.shape(),
               with_bias,
               {stride.shape(),
                padding.shape(),
                dilation.shape(),
                0,
                output_padding.shape()}) {}

ConvTranspose3d::ConvTranspose3d(int in_channels,
                                 int out_channels,
                                 Size3 kernel_size,
                                 Size3 stride,
                                 Size3 padding,
                                 Size3 dilation,
                                 Size3 output_padding,
                                 bool with_bias)
    : ConvBase(in_channels,
               out_channels,
               kernel_size.shape(),
               with_bias,
               {stride.shape(),
                padding.shape(),
                dilation.shape(),
                0,
                output_padding.shape()}) {}

}  // namespace treadle::nn
