// Derivatives of the running product that are right of every order, where
// elements are 0 too, and what they share with others. For the sources of ops/
// only.
#pragma once

#include "treadle/ops/cumulative.h"

namespace treadle {

// The same walk over other numbers.
array walk(const Cumulative& like, CumulativeKind kind, const array& x);
// Back from the results that an element went into: the adjoint of walk(sum).
array walk_back(const Cumulative& like, CumulativeKind kind, const array& x);
// x moved on by `step` places, 1 to the axis' length; `fill` before.
array moved_on(const array& x, int axis, int64_t step, Scalar fill);

// x, y = cumprod(x) and v -> the tangents of y for the tangents v of x, or the
// cotangents of x for those of y (conjugates aside: both are linear in v). They
// divide by elements that are not 0 and count those that are, which is fast but
// says nothing about derivatives at zeros: its own are those of products alone.
array product_tangent(const Cumulative& op,
                      const array& x,
                      const array& y,
                      const array& t);
array product_cotangent(const Cumulative& op,
                        const array& x,
                        const array& y,
                        const array& ct);

}  // namespace treadle
