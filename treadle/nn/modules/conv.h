// Convolutions over one, two and three axes, and their transposes.
#pragma once

#include <string>

#include "treadle/nn/functional/conv.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// What all share; see functional/conv.h. weight (out, kernel..., in / groups),
// bias (out,).
struct ConvBase : Module {
  array weight;
  array bias;  // null without bias

  std::string extra_repr() const override;
  std::string brief() const override;

 protected:
  struct Options {
    Shape stride, padding, dilation;
    int groups = 0;  // 0: the layer has no groups
    Shape output_padding = {};
  };
  ConvBase(
      int in, int out, const Shape& kernel, bool with_bias, Options options);
  array convolved(const array& x) const;
  array transposed(const array& x) const;

  Options options_;
};

// (N, L, in) -> (N, L', out)
struct Conv1d : ConvBase {
  Conv1d(int in_channels,
         int out_channels,
         int kernel_size,
         int stride = 1,
         int padding = 0,
         int dilation = 1,
         int groups = 1,
         bool with_bias = true);
  TREADLE_MODULE(Conv1d, weight, bias)
  array operator()(const array& x) const { return convolved(x); }
};

// (N, H, W, in) -> (N, H', W', out)
struct Conv2d : ConvBase {
  Conv2d(int in_channels,
         int out_channels,
         Size2 kernel_size,
         Size2 stride = 1,
         Size2 padding = 0,
         Size2 dilation = 1,
         int groups = 1,
         bool with_bias = true);
  TREADLE_MODULE(Conv2d, weight, bias)
  array operator()(const array& x) const { return convolved(x); }
};

// (N, D, H, W, in) -> (N, D', H', W', out)
struct Conv3d : ConvBase {
  Conv3d(int in_channels,
         int out_channels,
         Size3 kernel_size,
         Size3 stride = 1,
         Size3 padding = 0,
         Size3 dilation = 1,
         bool with_bias = true);
  TREADLE_MODULE(Conv3d, weight, bias)
  array operator()(const array& x) const { return convolved(x); }
};

// See conv_transpose: what a convolution of the same options does to
// gradients.
struct ConvTranspose1d : ConvBase {
  ConvTranspose1d(int in_channels,
                  int out_channels,
                  int kernel_size,
                  int stride = 1,
                  int padding = 0,
                  int dilation = 1,
                  int output_padding = 0,
                  bool with_bias = true);
  TREADLE_MODULE(ConvTranspose1d, weight, bias)
  array operator()(const array& x) const { return transposed(x); }
};

struct ConvTranspose2d : ConvBase {
  ConvTranspose2d(int in_channels,
                  int out_channels,
                  Size2 kernel_size,
                  Size2 stride = 1,
                  Size2 padding = 0,
                  Size2 dilation = 1,
                  Size2 output_padding = 0,
                  bool with_bias = true);
  TREADLE_MODULE(ConvTranspose2d, weight, bias)
  array operator()(const array& x) const { return transposed(x); }
};

struct ConvTranspose3d : ConvBase {
  ConvTranspose3d(int in_channels,
                  int out_channels,
                  Size3 kernel_size,
                  Size3 stride = 1,
                  Size3 padding = 0,
                  Size3 dilation = 1,
                  Size3 output_padding = 0,
                  bool with_bias = true);
  TREADLE_MODULE(ConvTranspose3d, weight, bias)
  array operator()(const array& x) const { return transposed(x); }
};

}  // namespace treadle::nn
