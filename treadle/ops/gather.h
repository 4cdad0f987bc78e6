// Slices of an array at places given by several index arrays, one for each of
// some axes: the general form, of which take and take_along_axis are cases.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/index.h"

namespace treadle {

// indices[k], integers that broadcast to a shape (I...), are the starts along
// axes[k] of slices of shape `size`, which has a length for each axis of x;
// along the other axes slices start at 0. Result (I..., size...). Negative
// starts count from the end. A slice that leaves x is an error when the value
// is computed.
array gather(const array& x,
             const Arrays& indices,
             const Axes& axes,
             const Shape& size,
             StreamOrDevice s = {});

// x with `updates` (I..., size...) combined into the slices that gather reads.
array scatter(const array& x,
              const Arrays& indices,
              const array& updates,
              const Axes& axes,
              ScatterMode mode = ScatterMode::assign,
              StreamOrDevice s = {});

// scatter with one mode, by MLX's names.
inline array scatter_add(const array& x,
                         const Arrays& indices,
                         const array& updates,
                         const Axes& axes,
                         StreamOrDevice s = {}) {
  return scatter(x, indices, updates, axes, ScatterMode::add, s);
}
inline array scatter_prod(const array& x,
                          const Arrays& indices,
                          const array& updates,
                          const Axes& axes,
                          StreamOrDevice s = {}) {
  return scatter(x, indices, updates, axes, ScatterMode::multiply, s);
}
inline array scatter_max(const array& x,
                         const Arrays& indices,
                         const array& updates,
                         const Axes& axes,
                         StreamOrDevice s = {}) {
  return scatter(x, indices, updates, axes, ScatterMode::maximum, s);
}
inline array scatter_min(const array& x,
                         const Arrays& indices,
                         const array& updates,
                         const Axes& axes,
                         StreamOrDevice s = {}) {
  return scatter(x, indices, updates, axes, ScatterMode::minimum, s);
}

}  // namespace treadle
