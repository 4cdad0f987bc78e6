// What kernels that read or write at index arrays share: the walk over all
// (element, index) pairs, reading indices of any dtype, and combining updates.
#pragma once

#include "treadle/backend/cpu/compare.h"
#include "treadle/ops/index.h"
#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// The pairs of take and scatter as one loop nest over `shape`. At each position
// an element of `other` (the result of take, the updates of scatter) meets the
// element of `data` at its offset + index * step.
struct IndexWalk {
  Shape shape;
  Strides data, index, other;
  int64_t step = 0;    // of data along the indexed axis
  int64_t length = 0;  // of that axis
};

// Merges axes that all three step through as one.
void collapse(IndexWalk& walk);

// axis: the indexed one. Along: indices have data's axes; else their axes stand
// in the place of that axis.
IndexWalk index_walk(const runtime::Operand& data,
                     const runtime::Operand& indices,
                     const runtime::Operand& other,
                     int axis,
                     bool along);

// Reads element i (in elements from the start) of an index array.
using ReadIndex = int64_t (*)(const void* indices, int64_t i);
ReadIndex index_reader(Dtype dtype);

// Reads n indices, `step` apart, into `to`; all are in [0, length) then.
void load_indices(std::string_view op,
                  const runtime::Operand& indices,
                  int64_t offset,
                  int64_t step,
                  int64_t n,
                  int64_t length,
                  int64_t* to);

// The error of an index outside [-length, length).
[[noreturn]] void bad_index(std::string_view op, int64_t index, int64_t length);

inline int64_t checked_index(std::string_view op,
                             int64_t index,
                             int64_t length) {
  int64_t i = index < 0 ? index + length : index;
  if (i < 0 || i >= length) bad_index(op, index, length);
  return i;
}

// How `update` changes `old`. Integers wrap around.
template <ScatterMode mode, class T>
inline T combine(T old, T update) {
  if constexpr (mode == ScatterMode::assign) {
    return update;
  } else if constexpr (mode == ScatterMode::maximum) {
    return beats<true>(update, old) ? update : old;
  } else if constexpr (mode == ScatterMode::minimum) {
    return beats<false>(update, old) ? update : old;
  } else if constexpr (is_half_type<T>) {
    return T(combine<mode>(float(old), float(update)));
  } else if constexpr (std::is_same_v<T, bool>) {
    return mode == ScatterMode::add ? old || update : old && update;
  } else if constexpr (std::is_integral_v<T>) {
    return mode == ScatterMode::add ? T(uint64_t(old) + uint64_t(update))
                                    : T(uint64_t(old) * uint64_t(update));
  } else {
    return mode == ScatterMode::add ? old + update : old * update;
  }
}

// Calls f.template operator()<mode>() for the run-time mode.
template <class F>
void visit_mode(ScatterMode mode, F&& f) {
  switch (mode) {
    case ScatterMode::assign:
      return f.template operator()<ScatterMode::assign>();
    case ScatterMode::add:
      return f.template operator()<ScatterMode::add>();
    case ScatterMode::multiply:
      return f.template operator()<ScatterMode::multiply>();
    case ScatterMode::maximum:
      return f.template operator()<ScatterMode::maximum>();
    case ScatterMode::minimum:
      return f.template operator()<ScatterMode::minimum>();
  }
}

}  // namespace treadle::backend::cpu
