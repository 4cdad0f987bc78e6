#include "treadle/backend/cpu/pool_problem.h"

#include <algorithm>

namespace treadle::backend::cpu {

namespace {

PoolProblem::Lengths three(const int64_t* first,
                           const int64_t* last,
                           int64_t missing) {
  PoolProblem::Lengths v;
  v.fill(missing);
  v[2] = last[-1];
  if (last - first > 1) v[0] = first[0];
  if (last - first > 2) v[1] = first[1];
  return v;
}
PoolProblem::Lengths three(const Shape& v, int64_t missing) {
  return three(v.begin(), v.end(), missing);
}

}  // namespace

PoolProblem::PoolProblem(const PoolWindows& windows,
                         const Shape& in_shape,
                         const Shape& out_shape)
    : n(in_shape.front()),
      channels(in_shape.back()),
      in(three(in_shape.begin() + 1, in_shape.end() - 1, 1)),
      out(three(out_shape.begin() + 1, out_shape.end() - 1, 1)),
      size_(three(windows.size, 1)),
      stride_(three(windows.stride, 1)),
      low_(three(windows.low, 0)) {
  for (int64_t s : size_) elements *= s;
}

std::pair<int64_t, int64_t> PoolProblem::windows_over(int64_t begin,
                                                      int64_t end) const {
  // Window w covers [w * stride - low, w * stride - low + size).
  const int64_t first = begin + low_[0] - size_[0] + 1;
  const int64_t from = first <= 0 ? 0 : (first + stride_[0] - 1) / stride_[0];
  const int64_t to = (end - 1 + low_[0]) / stride_[0] + 1;
  return {from, std::min(to, out[0])};
}

std::pair<int64_t, int64_t> PoolProblem::whole_windows() const {
  const int64_t from = (low_[2] + stride_[2] - 1) / stride_[2];
  const int64_t room = in[2] - size_[2] + low_[2];
  const int64_t to = room < 0 ? 0 : room / stride_[2] + 1;
  return {std::min(from, out[2]),
          std::clamp(to, std::min(from, out[2]), out[2])};
}

bool PoolProblem::apart() const {
  for (size_t i = 0; i < 3; ++i) {
    if (size_[i] > stride_[i]) return false;
  }
  return true;
}

bool PoolProblem::covers() const {
  for (size_t i = 0; i < 3; ++i) {
    if (size_[i] < stride_[i]) return false;
    if ((out[i] - 1) * stride_[i] + size_[i] - low_[i] < in[i]) return false;
  }
  return true;
}

void PoolProblem::elements_of(const Lengths& window,
                              int64_t begin,
                              int64_t end,
                              std::vector<int64_t>* offsets) const {
  Lengths from, to;
  for (size_t i = 0; i < 3; ++i) {
    const int64_t at = window[i] * stride_[i] - low_[i];
    from[i] = std::max<int64_t>(at, i == 0 ? begin : 0);
    to[i] = std::min(at + size_[i], i == 0 ? end : in[i]);
  }
  offsets->clear();
  for (int64_t a = from[0]; a < to[0]; ++a) {
    for (int64_t b = from[1]; b < to[1]; ++b) {
      for (int64_t c = from[2]; c < to[2]; ++c) {
        offsets->push_back(((a * in[1] + b) * in[2] + c) * channels);
      }
    }
  }
}

}  // namespace treadle::backend::cpu
