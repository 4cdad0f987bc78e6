// Norms of vectors and matrices.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/factorize.h"
#include "treadle/ops/linalg.h"
#include "treadle/ops/views.h"

namespace treadle::linalg {

namespace {

array vector_norm(
    const array& x, double ord, int axis, bool keepdims, StreamOrDevice s) {
  if (ord == 0) {
    Dtype d = at_least_float(x.dtype());
    d = is_complex(d) ? float32 : d;
    return sum(astype(not_equal(x, 0, s), d, s), axis, keepdims, s);
  }
  array a = abs(x, s);
  if (!is_inexact(a.dtype())) a = astype(a, float32, s);
  if (std::isinf(ord)) {
    return ord > 0 ? max(a, axis, keepdims, s) : min(a, axis, keepdims, s);
  }
  if (ord == 1) return sum(a, axis, keepdims, s);
  if (ord == 2) return sqrt(sum(square(a, s), axis, keepdims, s), s);
  return power(sum(power(a, ord, s), axis, keepdims, s), 1 / ord, s);
}

// The singular values of the matrices on two axes, as the last axis.
array singular_values(const array& x, int rows, int columns, StreamOrDevice s) {
  // What moves first must not move the other.
  array y = moveaxis(x, rows, -1, s);
  y = moveaxis(y, columns > rows ? columns - 1 : columns, -1, s);
  Svd op;
  op.parts = Svd::Parts::values;
  const bool known = y.dtype() == float64 || is_complex(y.dtype());
  return record(op, {known ? y : astype(y, float32, s)}, resolve(s));
}

// Puts back the two axes that a norm took away.
array with_axes(const array& y, int i, int j, bool keepdims, StreamOrDevice s) {
  if (!keepdims) return y;
  return expand_dims(y, Axes{std::min(i, j), std::max(i, j)}, s);
}

array matrix_norm(const array& x,
                  double ord,
                  int rows,
                  int columns,
                  bool keepdims,
                  StreamOrDevice s) {
  if (std::abs(ord) == 2) {
    array v = singular_values(x, rows, columns, s);
    v = ord > 0 ? max(v, -1, false, s) : min(v, -1, false, s);
    return with_axes(v, rows, columns, keepdims, s);
  }
  // Sums run down the columns for 1 and along the rows for inf.
  bool down = std::abs(ord) == 1;
  if (!down && !std::isinf(ord)) {
    invalid("linalg.norm",
            fmt::format("order {} of a matrix is not supported; expected "
                        "1, -1, 2, -2, inf or -inf.",
                        ord));
  }
  array a = abs(x, s);
  if (!is_inexact(a.dtype())) a = astype(a, float32, s);
  array sums = sum(a, down ? rows : columns, true, s);
  Axes both{rows, columns};
  return ord > 0 ? max(sums, both, keepdims, s) : min(sums, both, keepdims, s);
}

// The axes asked for, or all.
Axes axes_of(const array& x, const std::optional<Axes>& axes) {
  Axes over = axes.value_or(Axes{});
  if (!axes) {
    for (int i = 0; i < x.ndim(); ++i) over.push_back(i);
  }
  for (int& i : over) i = normalize_axis("linalg.norm", i, x.shape().size());
  return over;
}

}  // namespace

array norm(const array& x,
           const AxisArg& axis,
           bool keepdims,
           StreamOrDevice s) {
  array a = is_complex(x.dtype()) ? abs(x, s) : x;
  if (!is_inexact(a.dtype())) a = astype(a, float32, s);
  return sqrt(sum(square(a, s), axis, keepdims, s), s);
}

array norm(const array& x,
           double ord,
           const std::optional<Axes>& axes,
           bool keepdims,
           StreamOrDevice s) {
  const Axes over = axes_of(x, axes);
  // Of complex numbers the result is complex too, as in MLX.
  Dtype d = is_complex(x.dtype()) ? complex64 : at_least_float(x.dtype());
  if (over.size() == 1) {
    return astype(vector_norm(x, ord, over[0], keepdims, s), d, s);
  }
  if (over.size() != 2 || over[0] == over[1]) {
    invalid("linalg.norm",
            fmt::format("an order needs one axis or two different ones; "
                        "got {}.",
                        over.size()));
  }
  return astype(matrix_norm(x, ord, over[0], over[1], keepdims, s), d, s);
}

array norm(const array& x,
           const std::string& ord,
           const std::optional<Axes>& axes,
           bool keepdims,
           StreamOrDevice s) {
  const Axes over = axes_of(x, axes);
  const bool nuclear = ord == "nuc";
  if ((!nuclear && ord != "fro" && ord != "f") || over.size() != 2 ||
      over[0] == over[1]) {
    invalid("linalg.norm",
            fmt::format("order '{}' over {} axes is not supported; expected "
                        "'fro', 'f' or 'nuc' over two different ones.",
                        ord,
                        over.size()));
  }
  if (!nuclear) return norm(x, AxisArg(over), keepdims, s);
  array y = sum(singular_values(x, over[0], over[1], s), -1, false, s);
  const Dtype d = is_half(x.dtype()) ? x.dtype() : y.dtype();
  return astype(with_axes(y, over[0], over[1], keepdims, s), d, s);
}

}  // namespace treadle::linalg
