// The inner loops of pooling, over the channels of one window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "treadle/base/dtype.h"

namespace treadle::backend::cpu {

// A window whose elements, padding left out, begin at x + each of `taps`.
struct PoolWindow {
  Dtype dtype;
  int64_t channels;
  std::span<const int64_t> taps;  // in elements
  int64_t elements;               // padding included
  const void* x = nullptr;
  const void* y = nullptr;  // the maximum, one for each channel
  const void* v = nullptr;  // pick: laid out like x; gradients: like y
  void* out = nullptr;
  int64_t origin = 0;  // gradients: the element of x that `out` begins at
};

// out, one for each channel:
void pool_max(const PoolWindow& w);   // the maximum
void pool_mean(const PoolWindow& w);  // the mean
void pool_pick(const PoolWindow& w);  // the mean of v over x's maxima

// Add to `out`, which is laid out like x, of the type that sums are kept in
// (float, or double for float64), at `where`, a part of the taps:
void pool_max_grad(const PoolWindow& w, std::span<const int64_t> where);
void pool_mean_grad(const PoolWindow& w, std::span<const int64_t> where);

}  // namespace treadle::backend::cpu
