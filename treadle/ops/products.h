// Products of vectors, matrices and tensors over chosen axes.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/reduce.h"

namespace treadle {

// a (N), b (M) -> (N, M), of the flattened arguments.
array outer(const array& a, const array& b, StreamOrDevice s = {});
// Sum of products over the last axes: a (..., K), b (..., K) -> (..., ...).
array inner(const array& a, const array& b, StreamOrDevice s = {});
// Kronecker product: block [i, j, ...] of the result is a[i, j, ...] * b. Axes
// of length 1 are put before those of the argument that has fewer.
array kron(const array& a, const array& b, StreamOrDevice s = {});
// Sum of conj(a) * b over one axis of both, which broadcast.
array vecdot(const array& a,
             const array& b,
             int axis = -1,
             StreamOrDevice s = {});
// Sum of products over axes_a of a and axes_b of b, pair by pair; what remains
// of a comes before what remains of b.
array tensordot(const array& a,
                const array& b,
                const Axes& axes_a,
                const Axes& axes_b,
                StreamOrDevice s = {});
// Over the last `axes` axes of a and the first of b.
array tensordot(const array& a,
                const array& b,
                int axes = 2,
                StreamOrDevice s = {});

}  // namespace treadle
