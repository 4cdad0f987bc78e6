// What the rules of moving ops share. For the sources of views.h only.
#pragma once

#include "treadle/graph/record.h"
#include "treadle/ops/views.h"

namespace treadle {

// The mapped axis of x to the front.
inline array mapped_first(const array& x, int axis) {
  return axis == 0 ? x : moveaxis(x, axis, 0);
}

// A shape-like list with one more entry in front.
inline Shape prepend(int64_t v, const Shape& s) {
  Shape out{v};
  out.append(s.begin(), s.end());
  return out;
}

inline Axes shifted(const Axes& axes) {
  Axes out;
  for (int a : axes) out.push_back(a + 1);
  return out;
}

// The tangent of an op that is linear in its one input: the op on the tangent.
template <class T>
Arrays linear_jvp(const T& op, const Arrays& t) {
  if (t[0].null()) return {array()};
  return {record(op, {t[0]}, resolve({}))};
}

}  // namespace treadle
