// Reading the elements of an array one by one, for text and lists.
#pragma once

#include "treadle/graph/array.h"

namespace treadle {

// The elements of an array, wherever they lie; it must outlive this.
class Elements {
 public:
  // `first`: the address of x's first element, which is evaluated.
  Elements(const array& x, const void* first)
      : shape_(x.shape()),
        strides_(x.layout().strides),
        address_(static_cast<const char*>(first)),
        itemsize_(int64_t(x.itemsize())) {}

  size_t ndim() const { return shape_.size(); }
  int64_t length(size_t axis) const { return shape_[axis]; }
  // Byte offset of element i along an axis.
  int64_t step(size_t axis, int64_t i) const {
    return i * strides_[axis] * itemsize_;
  }
  template <class T>
  T at(int64_t offset) const {
    return *reinterpret_cast<const T*>(address_ + offset);
  }

 private:
  Shape shape_;
  Strides strides_;
  const char* address_;
  int64_t itemsize_;
};

}  // namespace treadle
