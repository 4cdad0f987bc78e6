// Walking the elements of several arrays of one shape and different strides.
#pragma once

#include <span>

#include "treadle/base/shape.h"

namespace treadle::backend {

// Drops axes of length 1 and merges neighbours that all operands step through
// as if they were one axis, so that loops are few and long. A shape without
// elements becomes {0}, a scalar {}.
void collapse(Shape& shape, std::span<Strides> strides);

// Visits all positions of a shape in row order except along its last axis,
// which is left to the caller's inner loop.
//
//   for (Rows<2> r(shape, {a, b}); r.more(); r.next())
//     for (int64_t i = 0; i < r.length(); ++i)
//       use(p[r.offset(0) + i * r.step(0)], q[r.offset(1) + i * r.step(1)]);
template <size_t N>
class Rows {
 public:
  Rows(Shape shape, std::span<const Strides> strides)
      : shape_(std::move(shape)) {
    for (size_t k = 0; k < N; ++k) strides_[k] = strides[k];
    more_ = size_of(shape_) > 0;
    if (shape_.empty()) return;
    length_ = shape_.back();
    shape_.pop_back();
    for (size_t k = 0; k < N; ++k) step_[k] = strides_[k].back();
    at_.assign(shape_.size(), 0);
  }

  bool more() const { return more_; }
  int64_t length() const { return length_; }
  int64_t offset(size_t k) const { return offset_[k]; }
  int64_t step(size_t k) const { return step_[k]; }
  // The position along the axes that this walks.
  const Shape& at() const { return at_; }

  // Moves on by `rows` rows at once.
  void skip(int64_t rows) {
    for (size_t i = shape_.size(); i-- > 0 && rows > 0;) {
      int64_t to = at_[i] + rows;
      rows = to / shape_[i];
      int64_t moved = to - rows * shape_[i] - at_[i];
      for (size_t k = 0; k < N; ++k) offset_[k] += moved * strides_[k][i];
      at_[i] += moved;
    }
    if (rows > 0) more_ = false;
  }

  void next() {
    for (size_t i = shape_.size(); i-- > 0;) {
      for (size_t k = 0; k < N; ++k) offset_[k] += strides_[k][i];
      if (++at_[i] < shape_[i]) return;
      for (size_t k = 0; k < N; ++k) offset_[k] -= strides_[k][i] * shape_[i];
      at_[i] = 0;
    }
    more_ = false;
  }

 private:
  Shape shape_;
  Strides strides_[N];
  Shape at_;
  int64_t length_ = 1;
  int64_t offset_[N] = {};
  int64_t step_[N] = {};
  bool more_ = false;
};

}  // namespace treadle::backend
