// Products of vectors, matrices and tensors over chosen axes, and norms.
#pragma once

#include <optional>
#include <string>
#include <variant>

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

namespace linalg {

// Of all elements, or over one axis (vectors) or two (matrices): the square
// root of the sum of squares.
array norm(const array& x,
           const AxisArg& axis = {},
           bool keepdims = false,
           StreamOrDevice s = {});
// The norm of order `ord`. Vectors: sum of |x|^p to the power 1/p; the largest
// (inf) or smallest (-inf) |x|; the number of elements that are not 0 (0).
// Matrices: the largest (1) or smallest (-1) sum of |x| down a column, the same
// along a row (inf, -inf). Without axes x has one or two. complex64 gives
// complex64.
array norm(const array& x,
           double ord,
           const std::optional<Axes>& axes = {},
           bool keepdims = false,
           StreamOrDevice s = {});

}  // namespace linalg
}  // namespace treadle
