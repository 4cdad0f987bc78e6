#include "treadle/ops/numbers.h"

#include <cmath>
#include <limits>

#include "treadle/base/error.h"
#include "treadle/ops/create.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Integers and bool hold neither NaN nor infinity.
bool always_finite(const array& x) { return !is_inexact(x.dtype()); }

array constant_like(const array& x, bool value, StreamOrDevice s) {
  return full(x.shape(), value, bool_, s);
}

// Largest finite number of a floating type, as a double.
double largest(Dtype d) {
  switch (d) {
    case float16:
      return 65504;
    case bfloat16:
      return 0x1.fep127;
    case float64:
      return std::numeric_limits<double>::max();
    default:
      return std::numeric_limits<float>::max();
  }
}

}  // namespace

array isnan(const array& x, StreamOrDevice s) {
  return always_finite(x) ? constant_like(x, false, s) : not_equal(x, x, s);
}

array isinf(const array& x, StreamOrDevice s) {
  if (always_finite(x)) return constant_like(x, false, s);
  return equal(abs(x, s), kInf, s);
}

array isposinf(const array& x, StreamOrDevice s) {
  return always_finite(x) ? constant_like(x, false, s) : equal(x, kInf, s);
}

array isneginf(const array& x, StreamOrDevice s) {
  return always_finite(x) ? constant_like(x, false, s) : equal(x, -kInf, s);
}

array isfinite(const array& x, StreamOrDevice s) {
  if (always_finite(x)) return constant_like(x, true, s);
  return less(abs(x, s), kInf, s);
}

array clip(const Term& x,
           const std::optional<Term>& low,
           const std::optional<Term>& high,
           StreamOrDevice s) {
  if (!low && !high) {
    invalid("clip", "got no bound; expected at least one of low and high.");
  }
  if (!low) return minimum(x, *high, s);
  if (!high) return maximum(x, *low, s);
  array raised = maximum(x, *low, s);
  return minimum(raised, *high, s);
}

array round(const array& x, int decimals, StreamOrDevice s) {
  if (decimals == 0) return rint(x, s);
  if (!is_inexact(x.dtype())) {
    if (decimals > 0) return x;
    // In floating point, as the multiple may lie halfway.
    return astype(round(astype(x, float32, s), decimals, s), x.dtype(), s);
  }
  double scale = std::pow(10.0, std::abs(decimals));
  if (decimals < 0) return multiply(rint(divide(x, scale, s), s), scale, s);
  return divide(rint(multiply(x, scale, s), s), scale, s);
}

array trunc(const array& x, StreamOrDevice s) {
  if (!is_inexact(x.dtype())) return x;
  return select(less(x, 0, s), ceil(x, s), floor(x, s), s);
}

array degrees(const array& x, StreamOrDevice s) {
  return multiply(x, 57.29577951308232, s);
}

array radians(const array& x, StreamOrDevice s) {
  return multiply(x, 0.017453292519943295, s);
}

std::pair<array, array> divmod(const Term& a, const Term& b, StreamOrDevice s) {
  return {floor_divide(a, b, s), remainder(a, b, s)};
}

array logical_xor(const Term& a, const Term& b, StreamOrDevice s) {
  return not_equal(logical_not(a, s), logical_not(b, s), s);
}

array nan_to_num(const array& x,
                 double nan,
                 std::optional<double> posinf,
                 std::optional<double> neginf,
                 StreamOrDevice s) {
  if (always_finite(x)) return x;
  if (is_complex(x.dtype())) {
    invalid("nan_to_num", "complex64 is not supported; expected a real type.");
  }
  double most = largest(x.dtype());
  array y = select(isnan(x, s), nan, x, s);
  y = select(isposinf(y, s), posinf.value_or(most), y, s);
  return select(isneginf(y, s), neginf.value_or(-most), y, s);
}

array isclose(const array& a,
              const array& b,
              double rtol,
              double atol,
              bool equal_nan,
              StreamOrDevice s) {
  Dtype d = at_least_float(promote_types(a.dtype(), b.dtype()));
  array x = astype(a, d, s), y = astype(b, d, s);
  array margin = add(multiply(abs(y, s), rtol, s), atol, s);
  // An infinity is close to itself only, where the difference is NaN.
  array close = logical_and(less_equal(abs(subtract(x, y, s), s), margin, s),
                            logical_and(isfinite(x, s), isfinite(y, s), s),
                            s);
  close = logical_or(close, equal(x, y, s), s);
  if (!equal_nan) return close;
  return logical_or(close, logical_and(isnan(x, s), isnan(y, s), s), s);
}

array allclose(const array& a,
               const array& b,
               double rtol,
               double atol,
               bool equal_nan,
               StreamOrDevice s) {
  return all(isclose(a, b, rtol, atol, equal_nan, s), {}, false, s);
}

array array_equal(const array& a,
                  const array& b,
                  bool equal_nan,
                  StreamOrDevice s) {
  if (a.shape() != b.shape()) return array(false);
  array same = equal(a, b, s);
  if (equal_nan) {
    same = logical_or(same, logical_and(isnan(a, s), isnan(b, s), s), s);
  }
  return all(same, {}, false, s);
}

}  // namespace treadle
