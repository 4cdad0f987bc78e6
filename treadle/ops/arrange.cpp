#include "treadle/ops/arrange.h"

#include <algorithm>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// bool (n, m): column - row compared with k.
array on_or_below(int64_t n, int64_t m, int k, StreamOrDevice s) {
  array row = expand_dims(arange(n, int32, s), 1, s);
  array column = expand_dims(arange(m, int32, s), 0, s);
  return less_equal(column, add(row, k, s), s);
}

// A number 0 would make bools integers.
array zero_of(const array& x) { return array(Scalar(0), x.dtype()); }

array below_in(std::string_view op, const array& x, int k, StreamOrDevice s) {
  if (x.ndim() < 2) {
    invalid(op,
            fmt::format("got an array of shape {}; expected two axes or more.",
                        to_string(x.shape())));
  }
  return on_or_below(x.shape(-2), x.shape(-1), k, s);
}

}  // namespace

array linspace(double start,
               double stop,
               int num,
               bool endpoint,
               Dtype dtype,
               StreamOrDevice s) {
  if (num < 0) {
    invalid("linspace", fmt::format("got num = {}; expected 0 or more.", num));
  }
  int steps = endpoint ? num - 1 : num;
  if (num <= 1) return astype(full({num}, start, float32, s), dtype, s);
  // Both ends are met exactly: t runs from 0 to 1.
  array t = divide(arange(double(num), float32, s), steps, s);
  array y = add(multiply(subtract(1, t, s), start, s), multiply(t, stop, s), s);
  return astype(y, dtype, s);
}

array tri(int n, int m, int k, Dtype dtype, StreamOrDevice s) {
  return astype(on_or_below(n, m, k, s), dtype, s);
}

array tril(const array& x, int k, StreamOrDevice s) {
  return select(below_in("tril", x, k, s), x, zero_of(x), s);
}

array triu(const array& x, int k, StreamOrDevice s) {
  return select(below_in("triu", x, k - 1, s), zero_of(x), x, s);
}

array diagonal(
    const array& x, int offset, int axis1, int axis2, StreamOrDevice s) {
  if (x.ndim() < 2) {
    invalid("diagonal",
            fmt::format("got an array of shape {}; expected two axes or more.",
                        to_string(x.shape())));
  }
  int a = normalize_axis("diagonal", axis1, x.shape().size());
  int b = normalize_axis("diagonal", axis2, x.shape().size());
  if (a == b) invalid("diagonal", "the two axes are the same.");
  int64_t n = x.shape(a), m = x.shape(b);
  Axes order;
  for (int i = 0; i < x.ndim(); ++i) {
    if (i != a && i != b) order.push_back(i);
  }
  order.push_back(a);
  order.push_back(b);
  array y = flatten(transpose(x, order, s), -2, -1, s);
  int64_t down = std::max(-offset, 0), right = std::max(offset, 0);
  int64_t length = std::max<int64_t>(0, std::min(n - down, m - right));
  Shape start(y.shape().size(), 0), stop = y.shape(), step(y.shape().size(), 1);
  if (length == 0) {
    stop.back() = 0;
  } else {
    // One row down and one column right is m + 1 elements on.
    start.back() = down * m + right;
    stop.back() = start.back() + (length - 1) * (m + 1) + 1;
    step.back() = m + 1;
  }
  return slice(y, start, stop, step, s);
}

array diag(const array& x, int k, StreamOrDevice s) {
  if (x.ndim() == 2) return diagonal(x, k, 0, 1, s);
  if (x.ndim() != 1) {
    invalid("diag",
            fmt::format("got an array of shape {}; expected one or two "
                        "axes.",
                        to_string(x.shape())));
  }
  int n = int(x.shape(0)) + std::abs(k);
  // Column j of the matrix holds x[j - k]: by columns, x starts at max(k, 0).
  array columns = pad(x, {std::max(k, 0)}, {std::max(-k, 0)}, s);
  return select(eye(n, n, k, bool_, s), columns, zero_of(x), s);
}

array trace(
    const array& x, int offset, int axis1, int axis2, StreamOrDevice s) {
  return sum(diagonal(x, offset, axis1, axis2, s), -1, false, s);
}

array flip(const array& x, const AxisArg& axis, StreamOrDevice s) {
  Shape start(x.shape().size(), 0), stop = x.shape(), step(x.shape().size(), 1);
  for (int i : axis.resolve("flip", x.shape().size())) {
    start[size_t(i)] = x.shape(i) - 1;
    stop[size_t(i)] = -x.shape(i) - 1;
    step[size_t(i)] = -1;
  }
  return slice(x, start, stop, step, s);
}

array roll(const array& x,
           const Shape& shift,
           const Axes& axes,
           StreamOrDevice s) {
  if (axes.empty()) {
    int64_t total = 0;
    for (int64_t by : shift) total += by;
    return reshape(roll(flatten(x, 0, -1, s), {total}, {0}, s), x.shape(), s);
  }
  if (shift.size() != axes.size() && shift.size() != 1) {
    invalid(
        "roll",
        fmt::format("got {} shifts for {} axes.", shift.size(), axes.size()));
  }
  array y = x;
  for (size_t i = 0; i < axes.size(); ++i) {
    int axis = normalize_axis("roll", axes[i], x.shape().size());
    int64_t n = x.shape(axis);
    if (n == 0) continue;
    int64_t by = shift.size() == 1 ? shift[0] : shift[i];
    by = (by % n + n) % n;
    if (by == 0) continue;
    Arrays parts = split(y, Shape{n - by}, axis, s);
    y = concatenate({parts[1], parts[0]}, axis, s);
  }
  return y;
}

array repeat(const array& x, int repeats, int axis, StreamOrDevice s) {
  if (repeats < 0) {
    invalid("repeat",
            fmt::format("got {} repeats; expected 0 or more.", repeats));
  }
  axis = normalize_axis("repeat", axis, x.shape().size());
  array y = expand_dims(x, axis + 1, s);
  Shape wide = y.shape();
  wide[size_t(axis) + 1] = repeats;
  Shape flat = x.shape();
  flat[size_t(axis)] *= repeats;
  return reshape(broadcast_to(y, wide, s), flat, s);
}

array repeat(const array& x, int repeats, StreamOrDevice s) {
  return repeat(flatten(x, 0, -1, s), repeats, 0, s);
}

array tile(const array& x, const Shape& reps, StreamOrDevice s) {
  size_t ndim = std::max(x.shape().size(), reps.size());
  // (1, N) for each axis of length N, stretched to (reps, N).
  Shape thin, wide, flat;
  for (size_t i = 0; i < ndim; ++i) {
    size_t missing_x = ndim - x.shape().size(), missing_r = ndim - reps.size();
    int64_t n = i < missing_x ? 1 : x.shape()[i - missing_x];
    int64_t r = i < missing_r ? 1 : reps[i - missing_r];
    if (r < 0) {
      invalid("tile", fmt::format("got {} repeats; expected 0 or more.", r));
    }
    for (int64_t d : {int64_t(1), n}) thin.push_back(d);
    for (int64_t d : {r, n}) wide.push_back(d);
    flat.push_back(r * n);
  }
  return reshape(broadcast_to(reshape(x, thin, s), wide, s), flat, s);
}

namespace {

// Which of n elements stands at place p, which may lie outside of [0, n).
int64_t source_of(int64_t p, int64_t n, PadMode mode) {
  if (mode == PadMode::edge || n == 1) return std::clamp<int64_t>(p, 0, n - 1);
  // Forth and back; reflecting, the turning points stand once.
  const int64_t turn = mode == PadMode::reflect ? 1 : 0;
  const int64_t period = 2 * (n - turn);
  p = (p % period + period) % period;
  return p < n ? p : period - p - (1 - turn);
}

// What stands in `count` places from `first` on, all on one side of x's own:
// slices of x along the axis, each of which goes one way.
void add_margin(const array& x,
                int axis,
                int64_t first,
                int64_t count,
                PadMode mode,
                StreamOrDevice s,
                Arrays* parts) {
  const int64_t n = x.shape(axis);
  const auto at = [&](int64_t p) { return source_of(p, n, mode); };
  while (count > 0) {
    const int64_t from = at(first);
    const int64_t step = count > 1 ? at(first + 1) - from : 1;
    int64_t length = 1;
    while (length < count &&
           at(first + length) - at(first + length - 1) == step)
      ++length;
    Shape start(x.shape().size(), 0), stop = x.shape(),
                                      steps(x.shape().size(), 1);
    start[size_t(axis)] = from;
    if (step == 0) {
      stop[size_t(axis)] = from + 1;
      Shape wide = x.shape();
      wide[size_t(axis)] = length;
      parts->push_back(broadcast_to(slice(x, start, stop, steps, s), wide, s));
    } else {
      steps[size_t(axis)] = step;
      // Before the first element is -n - 1.
      const int64_t end = from + length * step;
      stop[size_t(axis)] = end < 0 ? -n - 1 : end;
      parts->push_back(slice(x, start, stop, steps, s));
    }
    first += length;
    count -= length;
  }
}

}  // namespace

array pad(const array& x,
          const Shape& low,
          const Shape& high,
          PadMode mode,
          StreamOrDevice s) {
  bool fits = low.size() == x.shape().size() && high.size() == low.size();
  for (size_t i = 0; fits && i < low.size(); ++i)
    fits = low[i] >= 0 && high[i] >= 0;
  if (!fits) {
    invalid("pad",
            fmt::format("got {} before and {} behind for {}; expected 0 or "
                        "more for each axis.",
                        to_string(low),
                        to_string(high),
                        to_string(x.spec())));
  }
  array y = x;
  for (size_t i = 0; i < low.size(); ++i) {
    if (low[i] + high[i] == 0) continue;
    const int64_t n = x.shape()[i];
    if (n == 0) {
      if (mode != PadMode::edge) {
        invalid("pad",
                fmt::format("axis {} of {} is empty; there is nothing to "
                            "reflect.",
                            i,
                            to_string(x.spec())));
      }
      Shape before(low.size(), 0), behind(low.size(), 0);
      before[i] = low[i];
      behind[i] = high[i];
      y = pad(y, before, behind, s);
      continue;
    }
    const int axis = int(i);
    Arrays parts;
    add_margin(y, axis, -low[i], low[i], mode, s, &parts);
    parts.push_back(y);
    add_margin(y, axis, n, high[i], mode, s, &parts);
    y = concatenate(parts, axis, s);
  }
  return y;
}

Arrays unstack(const array& x, int axis, StreamOrDevice s) {
  axis = normalize_axis("unstack", axis, x.shape().size());
  int n = int(x.shape(axis));
  if (n == 0) return {};
  Arrays parts = split(x, n, axis, s);
  for (array& p : parts) p = squeeze(p, axis, s);
  return parts;
}

Arrays meshgrid(const Arrays& vectors,
                bool sparse,
                const std::string& indexing,
                StreamOrDevice s) {
  if (indexing != "xy" && indexing != "ij") {
    invalid("meshgrid",
            fmt::format("got indexing '{}'; expected 'xy' or 'ij'.", indexing));
  }
  size_t n = vectors.size();
  Arrays out;
  for (size_t i = 0; i < n; ++i) {
    size_t axis = indexing == "xy" && n > 1 && i < 2 ? 1 - i : i;
    Shape shape(n, 1);
    shape[axis] = -1;
    out.push_back(reshape(vectors[i], shape, s));
  }
  return sparse ? out : broadcast_arrays(out, s);
}

array diff(const array& x, int n, int axis, StreamOrDevice s) {
  if (n < 0) {
    invalid("diff", fmt::format("got order {}; expected 0 or more.", n));
  }
  size_t along = size_t(normalize_axis("diff", axis, x.shape().size()));
  array y = x;
  for (int i = 0; i < n; ++i) {
    int64_t length = y.shape()[along];
    Shape low(y.shape().size(), 0), high = y.shape();
    low[along] = std::min<int64_t>(1, length);
    array right = slice(y, low, high, {}, s);
    low[along] = 0;
    high[along] = std::max<int64_t>(length - 1, 0);
    array left = slice(y, low, high, {}, s);
    y = y.dtype() == bool_ ? not_equal(right, left, s)
                           : subtract(right, left, s);
  }
  return y;
}

array atleast_1d(const array& x, StreamOrDevice s) {
  return x.ndim() == 0 ? reshape(x, {1}, s) : x;
}

array atleast_2d(const array& x, StreamOrDevice s) {
  if (x.ndim() == 0) return reshape(x, {1, 1}, s);
  return x.ndim() == 1 ? expand_dims(x, 0, s) : x;
}

array atleast_3d(const array& x, StreamOrDevice s) {
  if (x.ndim() == 0) return reshape(x, {1, 1, 1}, s);
  if (x.ndim() == 1) return expand_dims(x, Axes{0, 2}, s);
  return x.ndim() == 2 ? expand_dims(x, 2, s) : x;
}

}  // namespace treadle
