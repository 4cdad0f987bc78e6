// The sums of squares that Adafactor keeps, in one pass over memory. float32;
// other types take the expansion.
#pragma once

#include <cstdint>

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// Rows of a matrix; the sums of their squares over rows, and of those divided
// by row', are added to `column` and `shares`.
struct FactoredRows {
  const float *g, *old_row;
  float* row;  // null: not wanted
  double *column, *shares;
  int64_t rows, columns;
  float kept, eps;
};

runtime::Kernel factored_squares();

}  // namespace treadle::backend::cpu
