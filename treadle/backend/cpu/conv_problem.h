// A convolution as kernels see it: the same lengths, whichever of input, weight
// and result is the unknown.
#pragma once

#include <array>

#include "treadle/ops/conv.h"
#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// Three spatial axes; missing ones are in front and have length 1.
using Lengths = std::array<int64_t, 3>;

struct ConvProblem {
  size_t spatial = 0;  // axes that the op has
  int64_t n = 0, groups = 1;
  int64_t in_channels = 0, out_channels = 0;  // of one group
  Lengths in, kernel, out;
  Lengths stride, low, kernel_dilation, input_dilation;
  bool flip = false;
  Dtype dtype = float32;

  // Nothing to compute, or sums of nothing.
  bool has_no_sum() const;
};

// The unknown is the output: y of Conv, x of ConvInputGrad, w of
// ConvWeightGrad.
ConvProblem conv_problem(const Conv& op,
                         const Shape& x,
                         const Shape& w,
                         const Shape& y,
                         Dtype dtype);
ConvProblem conv_problem(const ConvInputGrad& op,
                         const Shape& w,
                         const Shape& y,
                         const Shape& x,
                         Dtype dtype);
ConvProblem conv_problem(const ConvWeightGrad& op,
                         const Shape& x,
                         const Shape& y,
                         const Shape& w,
                         Dtype dtype);

}  // namespace treadle::backend::cpu
