// The windows of a pooling as kernels see them.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "treadle/ops/pool.h"

namespace treadle::backend::cpu {

// `in` is the array that has the windows, (N, spatial ..., C), `out` the one
// with an element for each. Three spatial axes: the first is what threads
// divide, runs go along the last, and missing ones have length 1. Both arrays
// are row-contiguous.
class PoolProblem {
 public:
  using Lengths = std::array<int64_t, 3>;

  PoolProblem(const PoolWindows& windows, const Shape& in, const Shape& out);

  int64_t n, channels;
  Lengths in, out;
  int64_t elements = 1;  // of a window, padding included

  int64_t in_row() const { return in[1] * in[2] * channels; }
  int64_t out_row() const { return out[1] * out[2] * channels; }

  // Windows along the first axis that reach rows [begin, end) of the input.
  std::pair<int64_t, int64_t> windows_over(int64_t begin, int64_t end) const;

  // Windows along the last axis that no padding reaches: [first, second).
  std::pair<int64_t, int64_t> whole_windows() const;
  // Elements from one window to the next along the last axis.
  int64_t step() const { return stride_[2] * channels; }
  int64_t row_stride() const { return stride_[0]; }

  // No element belongs to two windows; none to no window.
  bool apart() const;
  bool covers() const;

  // Where the elements of a window lie that are not padding: offsets of their
  // first channels from the start of the matrix number `n`, in row order. Only
  // those in rows [begin, end).
  void elements_of(const Lengths& window,
                   int64_t begin,
                   int64_t end,
                   std::vector<int64_t>* offsets) const;

 private:
  Lengths size_, stride_, low_;
};

}  // namespace treadle::backend::cpu
