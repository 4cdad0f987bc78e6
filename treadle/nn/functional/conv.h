// Convolution layers: their formula and the values they start from.
#pragma once

#include <utility>

#include "treadle/graph/array.h"
#include "treadle/graph/tree.h"

namespace treadle::nn {

// Height and width; one number stands for both.
struct Size2 {
  int height, width;
  Size2(int both) : height(both), width(both) {}
  Size2(int h, int w) : height(h), width(w) {}
  operator std::pair<int, int>() const { return {height, width}; }
  Shape shape() const { return {height, width}; }
};

// Depth, height and width; one number stands for all.
struct Size3 {
  int depth, height, width;
  Size3(int all) : depth(all), height(all), width(all) {}
  Size3(int d, int h, int w) : depth(d), height(h), width(w) {}
  Shape shape() const { return {depth, height, width}; }
};

// Cross-correlation of x with w, plus bias; a null bias stands for none.
// x (N, H, W, C), w (O, KH, KW, C / groups), bias (O,) -> (N, H', W', O) with
// H' = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1.
array conv2d(const array& x,
             const array& w,
             const array& bias = {},
             Size2 stride = 1,
             Size2 padding = 0,
             Size2 dilation = 1,
             int groups = 1);

// The same for 1, 2 or 3 spatial axes: x (N, ..., C), w (O, ..., C / groups). A
// list has one entry for each axis or one for all; empty is 1, or no padding.
array conv(const array& x,
           const array& w,
           const array& bias = {},
           const Shape& stride = {},
           const Shape& padding = {},
           const Shape& dilation = {},
           int groups = 1);

// Transposed convolution plus bias; x (N, ..., C), w (O, ..., C). An axis gets
// (L - 1) stride - 2 padding + dilation (K - 1) + 1 + output_padding elements.
array conv_transpose(const array& x,
                     const array& w,
                     const array& bias = {},
                     const Shape& stride = {},
                     const Shape& padding = {},
                     const Shape& dilation = {},
                     const Shape& output_padding = {});

// {"weight": (out, kernel..., in / groups), "bias": (out,)}: the weight uniform
// in plus or minus one over the root of (the kernel's size times in / groups),
// the bias zero, as MLX starts them. Throws std::invalid_argument when groups
// does not divide in and out.
Tree conv_init(int in,
               int out,
               const Shape& kernel,
               int groups = 1,
               bool bias = true,
               Dtype dtype = float32);

}  // namespace treadle::nn
