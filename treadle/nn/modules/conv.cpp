#include "treadle/nn/modules/conv.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/modules/repr.h"

namespace treadle::nn {

Conv2d::Conv2d(int in_channels,
               int out_channels,
               Size2 kernel_size,
               Size2 stride,
               Size2 padding,
               Size2 dilation,
               int groups,
               bool with_bias)
    : stride_(stride), padding_(padding), dilation_(dilation), groups_(groups) {
  Tree t =
      conv2d_init(in_channels, out_channels, kernel_size, groups, with_bias);
  weight = t.at("weight").leaf();
  if (with_bias) bias = t.at("bias").leaf();
}

array Conv2d::operator()(const array& x) const {
  ModuleScope scope(label());
  return conv2d(x, weight, bias, stride_, padding_, dilation_, groups_);
}

std::string Conv2d::extra_repr() const {
  std::string dilation = dilation_.height == dilation_.width
                             ? std::to_string(dilation_.height)
                             : dilation_.to_string();
  return fmt::format(
      "{}, {}, kernel_size=({}, {}), stride={}, padding={}, dilation={}, "
      "groups={}, bias={}",
      weight.shape(3) * groups_,
      weight.shape(0),
      weight.shape(1),
      weight.shape(2),
      stride_.to_string(),
      padding_.to_string(),
      dilation,
      groups_,
      python(!bias.null()));
}

std::string Conv2d::brief() const {
  return fmt::format("{}->{}, {}x{}",
                     weight.shape(3) * groups_,
                     weight.shape(0),
                     weight.shape(1),
                     weight.shape(2));
}

}  // namespace treadle::nn
