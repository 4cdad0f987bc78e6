// What the ops on matrices share: checks of their inputs, and their shapes.
// For the sources of ops/ only.
#pragma once

#include "treadle/graph/record.h"
#include "treadle/ops/views.h"

namespace treadle::linalg {

inline array turned(const array& x) { return swapaxes(x, -1, -2); }

// Throws unless `in` holds matrices (square ones if so asked) of a dtype that
// the op takes.
void check_matrices(std::string_view op,
                    const Spec& in,
                    bool square,
                    bool complex = false);

// Matrices of `like`'s batch axes.
inline Spec matrices_like(const Spec& like,
                          int64_t rows,
                          int64_t columns,
                          Dtype dtype) {
  Spec out{like.shape, dtype};
  out.shape[out.shape.size() - 2] = rows;
  out.shape.back() = columns;
  return out;
}
inline Spec vectors_like(const Spec& like, int64_t length, Dtype dtype) {
  Spec out{like.shape, dtype};
  out.shape.pop_back();
  out.shape.back() = length;
  return out;
}

}  // namespace treadle::linalg
