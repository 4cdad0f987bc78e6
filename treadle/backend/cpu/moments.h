// Sums over space for each channel in one pass over memory, of which
// normalisation is made. float32 and half types; others take the expansion.
#pragma once

#include <cstdint>

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// Columns of a strip, and rows that pass while their sums are in registers.
inline constexpr int64_t kMomentColumns = 512, kMomentRows = 16;

// Rows of floats, whose sums over rows are added to a and b: of x and its
// square, or of x (y - mean) and x. Rows lie a step of elements apart.
struct MomentRows {
  const float *x, *y, *mean;
  int64_t x_step, y_step, rows, columns;
  double *a, *b;
};

runtime::Kernel moments();
runtime::Kernel centred_sums();

}  // namespace treadle::backend::cpu
