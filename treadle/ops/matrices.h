// What the ops on matrices share: checks of their inputs, and the rule of vmap.
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

// The op with the mapped axes in front; inputs that are not mapped are
// stretched along it.
template <class T>
Mapped map_matrices(const T& op, const Arrays& x, std::span<const int> axes) {
  int64_t batch = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) batch = x[i].shape(axes[i]);
  }
  Arrays in;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) {
      in.push_back(moveaxis(x[i], axes[i], 0));
      continue;
    }
    Shape shape{batch};
    shape.append(x[i].shape().begin(), x[i].shape().end());
    in.push_back(broadcast_to(x[i], shape));
  }
  Mapped m;
  m.outputs = record_all(make_op(op), in, resolve({}));
  m.axes.assign(m.outputs.size(), 0);
  return m;
}

}  // namespace treadle::linalg
