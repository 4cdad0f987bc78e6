#include "treadle/backend/cpu/pool_problem.h"

#include <algorithm>

namespace treadle::backend::cpu {

namespace {

// Which of three axes the spatial axis `i` of `count` is.
size_t place_of(size_t i, size_t count) { return i + 1 == count ? 2 : i; }

PoolProblem::Lengths spatial_of(const Shape& shape) {
  PoolProblem::Lengths v;
  v.fill(1);
  const size_t count = shape.size() - 2;
  for (size_t i = 0; i < count; ++i) v[place_of(i, count)] = shape[i + 1];
  return v;
}

// a / b rounded up, 0 when a is negative.
int64_t quotient_up(int64_t a, int64_t b) {
  return a <= 0 ? 0 : (a + b - 1) / b;
}

}  // namespace

PoolProblem::Axis PoolProblem::axis_of(const PoolWindows& w,
                                       size_t i,
                                       int64_t n) {
  if (!w.shared(i)) return {w.stride[i], 1, w.size[i], w.low[i]};
  const int64_t m = w.stride[i];
  if (n % m == 0) return {n / m, 1, n / m, 0};
  return {n, m, n + m - 1, 0};
}

PoolProblem::PoolProblem(const PoolWindows& windows,
                         const Shape& in_shape,
                         const Shape& out_shape)
    : n(in_shape.front()),
      channels(in_shape.back()),
      in(spatial_of(in_shape)),
      out(spatial_of(out_shape)) {
  const size_t count = windows.spatial();
  for (size_t i = 0; i < count; ++i) {
    axes_[place_of(i, count)] = axis_of(windows, i, in_shape[i + 1]);
  }
}

std::pair<int64_t, int64_t> PoolProblem::windows_over(int64_t begin,
                                                      int64_t end) const {
  // The first that ends behind `begin`, the last that begins before `end`.
  const Axis& a = axes_[0];
  const int64_t from =
      quotient_up((begin + a.low + 1) * a.parts - a.reach, a.step);
  const int64_t to = quotient_up((end + a.low) * a.parts, a.step);
  return {from, std::min(to, out[0])};
}

std::pair<int64_t, int64_t> PoolProblem::like_windows() const {
  const Axis& a = axes_[2];
  if (a.parts > 1) return {0, 0};
  const int64_t from = std::min(quotient_up(a.low, a.step), out[2]);
  const int64_t room = in[2] - a.reach + a.low;
  const int64_t to = room < 0 ? 0 : room / a.step + 1;
  return {from, std::clamp(to, from, out[2])};
}

int64_t PoolProblem::elements(const Lengths& window) const {
  int64_t count = 1;
  for (size_t i = 0; i < 3; ++i)
    count *= axes_[i].end(window[i]) - axes_[i].begin(window[i]);
  return count;
}

bool PoolProblem::apart() const {
  // Two of those that share an axis unequally have an element in common.
  for (const Axis& a : axes_) {
    if (a.parts > 1 || a.reach > a.step) return false;
  }
  return true;
}

bool PoolProblem::covers() const {
  for (size_t i = 0; i < 3; ++i) {
    const Axis& a = axes_[i];
    if (a.reach < a.step || a.end(out[i] - 1) < in[i]) return false;
  }
  return true;
}

void PoolProblem::elements_of(const Lengths& window,
                              int64_t begin,
                              int64_t end,
                              std::vector<int64_t>* offsets) const {
  Lengths from, to;
  for (size_t i = 0; i < 3; ++i) {
    from[i] = std::max<int64_t>(axes_[i].begin(window[i]), i == 0 ? begin : 0);
    to[i] = std::min(axes_[i].end(window[i]), i == 0 ? end : in[i]);
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
