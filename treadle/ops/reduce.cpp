#include "treadle/ops/reduce.h"

#include <limits>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/product_of_others.h"
#include "treadle/ops/views.h"

namespace treadle {

std::string_view name_of(ReduceKind kind) {
  constexpr std::string_view names[] = {"sum", "prod", "max", "min"};
  return names[static_cast<int>(kind)];
}

namespace {

// Sums and products of small integers are done in 32 bits.
Dtype accumulator(ReduceKind kind, Dtype t) {
  if (kind == ReduceKind::max || kind == ReduceKind::min) return t;
  if (t == bool_ || t == int8 || t == int16) return int32;
  if (t == uint8 || t == uint16) return uint32;
  return t;
}

}  // namespace

Specs Reduce::infer(std::span<const Spec> in) const {
  Spec out{in[0].shape, accumulator(reduce, in[0].dtype)};
  for (int a : axes) {
    if (out.shape[size_t(a)] == 0 && reduce >= ReduceKind::max) {
      invalid(name(),
              fmt::format("axis {} of shape {} is empty; there is no {} of "
                          "nothing.",
                          a,
                          to_string(in[0].shape),
                          name()));
    }
    out.shape[size_t(a)] = 1;
  }
  return {out};
}

Arrays Reduce::jvp(const Arrays& x,
                   const Arrays& y,
                   const Arrays& t,
                   Argnums) const {
  if (t[0].null()) return {array()};
  switch (reduce) {
    case ReduceKind::sum:
      return {sum(t[0], axes, true)};
    case ReduceKind::prod: {
      // Each factor's tangent meets the product of the others: the pullback
      // of 1.
      array ones_ct = broadcast_to(array(1, y[0].dtype()), y[0].shape());
      int arg = 0;
      Arrays g = vjp(x, y, {ones_ct}, Argnums(&arg, 1));
      return {sum(g[0] * t[0], axes, true)};
    }
    case ReduceKind::max:
    case ReduceKind::min:
      break;
  }
  array mask = astype(equal(x[0], y[0]), t[0].dtype());
  return {sum(mask * t[0], axes, true) / sum(mask, axes, true)};
}

Arrays Reduce::vjp(const Arrays& x,
                   const Arrays& y,
                   const Arrays& ct,
                   Argnums) const {
  if (ct[0].null() || !is_inexact(x[0].dtype())) return {array()};
  const Shape& shape = x[0].shape();
  switch (reduce) {
    case ReduceKind::sum:
      return {broadcast_to(ct[0], shape)};
    case ReduceKind::prod: {
      ProductOfOthers op;
      op.axes = axes;
      array others = record(std::move(op), {x[0], y[0]}, resolve({}));
      return {ct[0] * others};
    }
    case ReduceKind::max:
    case ReduceKind::min:
      break;
  }
  array mask = equal(x[0], y[0]);
  array count = sum(astype(mask, ct[0].dtype()), axes, true);
  return {select(mask, ct[0] / count, 0)};
}

Mapped Reduce::vmap(const Arrays& x, std::span<const int> mapped) const {
  array v = moveaxis(x[0], mapped[0], 0);
  Reduce op;
  op.reduce = reduce;
  for (int a : axes) op.axes.push_back(a + 1);
  return {{record(std::move(op), {v}, resolve({}))}, {0}};
}

Axes AxisArg::resolve(std::string_view op, size_t ndim) const {
  if (axes_) return normalize_axes(op, *axes_, ndim);
  Axes all;
  for (size_t i = 0; i < ndim; ++i) all.push_back(int(i));
  return all;
}

namespace {

array reduce(ReduceKind kind,
             const array& x,
             const AxisArg& axis,
             bool keepdims,
             StreamOrDevice s) {
  Reduce op;
  op.reduce = kind;
  op.axes = axis.resolve(name_of(kind), x.shape().size());
  Axes axes = op.axes;
  Dtype out = accumulator(kind, x.dtype());
  if (axes.empty()) return astype(x, out, s);
  array y = record(std::move(op), {x}, resolve(s));
  return keepdims ? y : squeeze(y, axes, s);
}

// Number of elements that the axes span.
int64_t count(const array& x, const Axes& axes) {
  int64_t n = 1;
  for (int a : axes) n *= x.shape(a);
  return n;
}

}  // namespace

array sum(const array& x,
          const AxisArg& axis,
          bool keepdims,
          StreamOrDevice s) {
  return reduce(ReduceKind::sum, x, axis, keepdims, s);
}
array prod(const array& x,
           const AxisArg& axis,
           bool keepdims,
           StreamOrDevice s) {
  return reduce(ReduceKind::prod, x, axis, keepdims, s);
}
array max(const array& x,
          const AxisArg& axis,
          bool keepdims,
          StreamOrDevice s) {
  return reduce(ReduceKind::max, x, axis, keepdims, s);
}
array min(const array& x,
          const AxisArg& axis,
          bool keepdims,
          StreamOrDevice s) {
  return reduce(ReduceKind::min, x, axis, keepdims, s);
}

array mean(const array& x,
           const AxisArg& axis,
           bool keepdims,
           StreamOrDevice s) {
  Axes axes = axis.resolve("mean", x.shape().size());
  array f = astype(x, at_least_float(x.dtype()), s);
  return multiply(sum(f, axes, keepdims, s), 1.0 / double(count(x, axes)), s);
}

array var(const array& x,
          const AxisArg& axis,
          bool keepdims,
          int ddof,
          StreamOrDevice s) {
  Axes axes = axis.resolve("var", x.shape().size());
  array f = astype(x, at_least_float(x.dtype()), s);
  array d = subtract(f, mean(f, axes, true, s), s);
  if (is_complex(d.dtype())) d = abs(d, s);
  double n = double(count(x, axes)) - ddof;
  return multiply(sum(square(d, s), axes, keepdims, s), 1.0 / n, s);
}

array std(const array& x,
          const AxisArg& axis,
          bool keepdims,
          int ddof,
          StreamOrDevice s) {
  return sqrt(var(x, axis, keepdims, ddof, s), s);
}

array all(const array& x,
          const AxisArg& axis,
          bool keepdims,
          StreamOrDevice s) {
  // Counting serves axes without elements too.
  return equal(sum(equal(x, 0, s), axis, keepdims, s), 0, s);
}

array any(const array& x,
          const AxisArg& axis,
          bool keepdims,
          StreamOrDevice s) {
  return not_equal(count_nonzero(x, axis, keepdims, s), 0, s);
}

array count_nonzero(const array& x,
                    const AxisArg& axis,
                    bool keepdims,
                    StreamOrDevice s) {
  return sum(not_equal(x, 0, s), axis, keepdims, s);
}

array logsumexp(const array& x,
                const AxisArg& axis,
                bool keepdims,
                StreamOrDevice s) {
  Axes axes = axis.resolve("logsumexp", x.shape().size());
  array f = astype(x, at_least_float(x.dtype()), s);
  array m = stop_gradient(max(f, axes, true, s), s);
  // A row of -inf (or with +inf) has no finite shift.
  m = select(
      less(abs(m, s), std::numeric_limits<double>::infinity(), s), m, 0, s);
  array y = add(log(sum(exp(subtract(f, m, s), s), axes, true, s), s), m, s);
  return keepdims ? y : squeeze(y, axes, s);
}

}  // namespace treadle
