// Elementwise functions that are a few rows each: no op of their own.
#pragma once

#include <optional>
#include <utility>

#include "treadle/graph/array.h"
#include "treadle/ops/elementwise.h"

namespace treadle {

// True where x is NaN, infinite, +infinity, -infinity, or neither NaN nor
// infinite.
array isnan(const array& x, StreamOrDevice s = {});
array isinf(const array& x, StreamOrDevice s = {});
array isposinf(const array& x, StreamOrDevice s = {});
array isneginf(const array& x, StreamOrDevice s = {});
array isfinite(const array& x, StreamOrDevice s = {});

// x, but at least `low` and at most `high`; a bound that is missing does not
// bind. `high` wins where the two cross. Throws std::invalid_argument when both
// are missing.
array clip(const Term& x,
           const std::optional<Term>& low,
           const std::optional<Term>& high,
           StreamOrDevice s = {});
// x to `decimals` digits after the point, ties to even; negative counts digits
// before it.
array round(const array& x, int decimals = 0, StreamOrDevice s = {});
// The integer towards 0.
array trunc(const array& x, StreamOrDevice s = {});
array degrees(const array& radians, StreamOrDevice s = {});
array radians(const array& degrees, StreamOrDevice s = {});
// Quotient rounded down, and remainder.
std::pair<array, array> divmod(const Term& a,
                               const Term& b,
                               StreamOrDevice s = {});
array logical_xor(const Term& a, const Term& b, StreamOrDevice s = {});
// NaN and the infinities replaced; infinities by default by the largest finite
// numbers of the dtype.
array nan_to_num(const array& x,
                 double nan = 0,
                 std::optional<double> posinf = {},
                 std::optional<double> neginf = {},
                 StreamOrDevice s = {});

// |a - b| <= atol + rtol |b|, or both the same infinity; NaN equals NaN only
// when asked for.
array isclose(const array& a,
              const array& b,
              double rtol = 1e-5,
              double atol = 1e-8,
              bool equal_nan = false,
              StreamOrDevice s = {});
// Scalars: true when isclose holds everywhere; when shapes and elements are
// equal.
array allclose(const array& a,
               const array& b,
               double rtol = 1e-5,
               double atol = 1e-8,
               bool equal_nan = false,
               StreamOrDevice s = {});
array array_equal(const array& a,
                  const array& b,
                  bool equal_nan = false,
                  StreamOrDevice s = {});

}  // namespace treadle
