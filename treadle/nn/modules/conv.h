// Conv2d.
#pragma once

#include <string>

#include "treadle/nn/functional/conv.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// See functional/conv.h. weight (out, kh, kw, in / groups), bias (out,).
struct Conv2d : Module {
  Conv2d(int in_channels,
         int out_channels,
         Size2 kernel_size,
         Size2 stride = 1,
         Size2 padding = 0,
         Size2 dilation = 1,
         int groups = 1,
         bool with_bias = true);

  array weight;
  array bias;  // null without bias
  TREADLE_MODULE(Conv2d, weight, bias)

  array operator()(const array& x) const;  // (N, H, W, in) -> (N, H', W', out)
  std::string extra_repr() const override;
  std::string brief() const override;

 private:
  Size2 stride_, padding_, dilation_;
  int groups_;
};

}  // namespace treadle::nn
