// An op on the last two axes of its inputs, alike for every matrix of a batch.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/derive.h"

namespace treadle::linalg {

// The op with the mapped axes in front; inputs that are not mapped are
// stretched along it.
Mapped map_matrices(OpPtr op, const Arrays& x, std::span<const int> axes);

// Batched by a batch axis; unless T knows better, its cotangents are the
// transpose of its tangents.
template <class T>
struct MatrixOp : OpBase<T> {
  Arrays vjp(const Arrays& x,
             const Arrays& y,
             const Arrays& ct,
             Argnums args) const override {
    return vjp_by_transposition(*this, x, y, ct, args);
  }
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override {
    return map_matrices(make_op(static_cast<const T&>(*this)), x, axes);
  }
};

}  // namespace treadle::linalg
