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

  int64_t in_row() const { return in[1] * in[2] * channels; }
  int64_t out_row() const { return out[1] * out[2] * channels; }

  // Windows along the first axis that reach rows [begin, end) of the input.
  std::pair<int64_t, int64_t> windows_over(int64_t begin, int64_t end) const;

  // Windows along the last axis that are alike, no padding reaching them:
  // [first, second).
  std::pair<int64_t, int64_t> like_windows() const;
  // Elements from one of these to the next.
  int64_t step() const { return axes_[2].step * channels; }
  int64_t row_stride() const { return axes_[0].parts > 1 ? 1 : axes_[0].step; }

  // How many elements a window has, padding included.
  int64_t elements(const Lengths& window) const;

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
  // Window o of an axis covers
  // [floor(o step / parts) - low, floor((o step + reach) / parts) - low).
  // Of fixed size: parts is 1, step their stride and reach their size. Shared
  // unequally by m windows: parts is m, step the n elements, and reach
  // n + m - 1, which makes the end that of window o + 1 rounded up.
  struct Axis {
    int64_t step = 1, parts = 1, reach = 1, low = 0;
    int64_t begin(int64_t o) const { return o * step / parts - low; }
    int64_t end(int64_t o) const { return (o * step + reach) / parts - low; }
  };
  static Axis axis_of(const PoolWindows& w, size_t i, int64_t n);

  std::array<Axis, 3> axes_;
};

}  // namespace treadle::backend::cpu
