// Running sums of a row with vectors.
#pragma once

#include <cstdint>

#include "treadle/base/dtype.h"

namespace treadle::backend::cpu {

// For elements of one type; integers wrap around.
struct RunningSum {
  // The sum of n elements.
  void (*total)(const void* x, int64_t n, void* sum) = nullptr;
  // y[i] = *before + x[0] + ... + x[i]; y may be x. Reverse: the same from the
  // last element to the first.
  void (*write)(const void* x,
                int64_t n,
                bool reverse,
                const void* before,
                void* y) = nullptr;
  // Sums of n columns: sums[i] += x[i], y[i] = sums[i].
  void (*row)(const void* x, int64_t n, void* sums, void* y) = nullptr;
};

// For 32- and 64-bit dtypes; without functions for the others.
RunningSum running_sum(Dtype dtype);

}  // namespace treadle::backend::cpu
