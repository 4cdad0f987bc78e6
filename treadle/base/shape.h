// Shapes and strides, counted in elements, and the rules that combine them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "treadle/base/dtype.h"
#include "treadle/base/small_vector.h"

namespace treadle {

using Shape = SmallVector<int64_t, 5>;
using Strides = SmallVector<int64_t, 5>;
using Axes = SmallVector<int, 6>;

// Shape and type of one array, known when it is recorded.
struct Spec {
  Shape shape;
  Dtype dtype = float32;

  friend bool operator==(const Spec&, const Spec&) = default;
};

// Where the elements of an array lie inside its buffer, in elements.
struct Layout {
  Strides strides;
  int64_t offset = 0;
};

// Number of elements; 1 for a scalar.
inline int64_t size_of(const Shape& shape) {
  int64_t n = 1;
  for (int64_t d : shape) n *= d;
  return n;
}

// "(2, 3)", "(4,)", "()" as Python prints a tuple.
std::string to_string(const Shape& shape);
// "float32 (2, 3)".
std::string to_string(const Spec& spec);

Strides row_major_strides(const Shape& shape);

// True when the elements lie one after another in row order; axes of length 1
// are ignored, an empty array always is.
bool is_row_contiguous(const Shape& shape, const Strides& strides);

// NumPy's broadcasting rule; `op` names the operation in the error.
Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b);

// Axis in [-ndim, ndim) to [0, ndim); throws std::out_of_range naming op.
int normalize_axis(std::string_view op, int axis, size_t ndim);
// The same for a list, sorted; a repeated axis is an error.
Axes normalize_axes(std::string_view op,
                    std::span<const int> axes,
                    size_t ndim);

}  // namespace treadle
