// autocast: mixed precision as a rewrite of what a function records.
#pragma once

#include "treadle/transforms/compile.h"

namespace treadle {

struct AutocastOptions {
  Dtype dtype = bfloat16;      // or float16
  CapturedState outputs = {};  // arrays that the function replaces
};

// f, with products in a short type. f runs as it is, on the arrays that it is
// given; what it has recorded in float32 is recorded again:
//   - matrix products, convolutions and attention read and give the short type;
//   - sums, differences, products, quotients, maxima and selections, tanh,
//     sigmoid, sin, cos and erf, views, copies, gathering and max pooling give
//     it where all that they read has it; numbers that fit it, and parameters
//     that are broadcast (a bias), count as having it;
//   - all else reads and gives float32: norms, softmax, losses, reductions,
//     powers, exponentials, logarithms, cells of recurrent layers.
// The results have the dtypes they would have had. Loops and checkpoints are
// rewritten inside. Other dtypes than float32 are left alone, so parameters
// stay as they are (masters in float32), and so do their gradients: derivatives
// of the result are those of what was recorded anew, with their products in the
// short type too.
//
// Arrays that f stores somewhere else than in `outputs` (running statistics of
// a model, say) come from the first recording and cost its computation.
// Throws std::invalid_argument for another dtype than these two.
// Source: Micikevicius et al., Mixed Precision Training, 2018.
ArraysFn autocast(ArraysFn f, AutocastOptions options = {});

}  // namespace treadle
