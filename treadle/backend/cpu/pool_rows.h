// The inner loops of pooling, over the channels of a row of windows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "treadle/base/dtype.h"

namespace treadle::backend::cpu {

// `count` windows side by side. The elements of window i, padding left out,
// begin at x + i * step + each of `taps`; its results at y, v and out + i *
// channels, but what is laid out like x moves with it.
struct PoolRow {
  Dtype dtype;
  int64_t channels;
  int64_t elements = 1;  // of a window, padding included
  std::span<const int64_t> taps;
  int64_t count = 1, step = 0;
  const void* x = nullptr;
  const void* y = nullptr;  // the maximum, one for each channel
  const void* v = nullptr;  // pick: laid out like x; gradients: like y
  void* out = nullptr;
};

// out, one for each channel:
void pool_max(const PoolRow& r);   // the maximum
void pool_mean(const PoolRow& r);  // the mean
void pool_pick(const PoolRow& r);  // the mean of v over x's maxima

// What the elements of the windows get, at `where`, a part of the taps. `out`
// is laid out like x, begins at element `origin` of it and has the type that
// sums are kept in (float, or double for float64). Windows that overlap add to
// it, others
// (`apart`) set it.
struct PoolTarget {
  std::span<const int64_t> where;
  int64_t origin = 0;
  bool apart = false;
};
void pool_max_grad(const PoolRow& r, const PoolTarget& t);
void pool_mean_grad(const PoolRow& r, const PoolTarget& t);

// Rounds sums to float16 or bfloat16.
void round_to_half(Dtype dtype, const float* sums, void* to, int64_t count);

}  // namespace treadle::backend::cpu
