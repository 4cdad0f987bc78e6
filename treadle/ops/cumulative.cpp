#include "treadle/ops/cumulative.h"

#include <limits>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/cumulative_product.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

}  // namespace

std::string_view Cumulative::name() const {
  constexpr std::string_view names[] = {
      "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"};
  return names[static_cast<int>(kind_of)];
}

Specs Cumulative::infer(std::span<const Spec> in) const {
  Dtype d = in[0].dtype;
  if ((kind_of == CumulativeKind::sum && d == bool_) ||
      (kind_of == CumulativeKind::logsumexp && !is_inexact(d))) {
    invalid(name(),
            fmt::format("got {}; expected {}.",
                        treadle::to_string(in[0]),
                        d == bool_ ? "numbers" : "an inexact dtype"));
  }
  return {in[0]};
}

namespace {

// Of each result the position of the element that it is, and whether there is
// one (an exclusive walk begins without).
struct Source {
  array at, any;
};

Source source_of(const Cumulative& op, const array& x) {
  Cumulative inclusive = op;
  inclusive.inclusive = true;
  array y = record(inclusive, {x}, resolve({}));
  Shape along(x.shape().size(), 1);
  along[size_t(op.axis)] = x.shape(op.axis);
  array number = broadcast_to(
      reshape(arange(double(x.shape(op.axis)), int64), along), x.shape());
  // Where NaN has been met there is no element to blame but the NaN: x != x.
  array met = logical_or(equal(x, y), not_equal(x, x));
  int64_t none = op.reverse ? x.shape(op.axis) : -1;
  array at = walk(op,
                  op.reverse ? CumulativeKind::min : CumulativeKind::max,
                  select(met, number, none));
  array any = op.reverse ? less(at, none) : greater(at, none);
  return {select(any, at, 0), any};
}

// Sums of v_i exp(l_i) over a walk, without overflow, times exp(-m): the
// positive and the negative terms by their logarithms.
template <class Walk>
array signed_sum(const array& v,
                 const array& l,
                 const array& m,
                 Walk walk_logs) {
  array size = add(log(abs(select(equal(v, 0), array(1, v.dtype()), v))), l);
  auto part = [&](const array& mask) {
    return exp(add(walk_logs(select(mask, size, -kInf)), m));
  };
  return subtract(part(greater(v, 0)), part(less(v, 0)));
}

void check_real(const Cumulative& op, const array& x) {
  if (!is_complex(x.dtype())) return;
  invalid(op.name(), "of complex numbers has no derivative here.");
}

}  // namespace

Arrays Cumulative::jvp(const Arrays& x,
                       const Arrays& y,
                       const Arrays& t,
                       Argnums) const {
  if (t[0].null()) return {array()};
  switch (kind_of) {
    case CumulativeKind::sum:
      return {walk(*this, kind_of, t[0])};
    case CumulativeKind::prod:
      return {product_tangent(*this, x[0], y[0], t[0])};
    case CumulativeKind::logsumexp: {
      check_real(*this, x[0]);
      // Where nothing has been summed, y is -infinity.
      array low = select(equal(y[0], -kInf), 0, negative(y[0]));
      return {signed_sum(t[0], x[0], low, [&](const array& l) {
        return walk(*this, kind_of, l);
      })};
    }
    case CumulativeKind::max:
    case CumulativeKind::min:
      break;
  }
  Source from = source_of(*this, x[0]);
  return {select(from.any, take_along_axis(t[0], from.at, axis), 0)};
}

Arrays Cumulative::vjp(const Arrays& x,
                       const Arrays& y,
                       const Arrays& ct,
                       Argnums) const {
  if (ct[0].null() || !is_inexact(x[0].dtype())) return {array()};
  switch (kind_of) {
    case CumulativeKind::sum:
      return {walk_back(*this, kind_of, ct[0])};
    case CumulativeKind::prod: {
      if (!is_complex(x[0].dtype())) {
        return {product_cotangent(*this, x[0], y[0], ct[0])};
      }
      array v = conjugate(x[0]), w = conjugate(y[0]);
      return {product_cotangent(*this, v, w, ct[0])};
    }
    case CumulativeKind::logsumexp: {
      check_real(*this, x[0]);
      // A result of nothing has no share in any element.
      array empty = equal(y[0], -kInf);
      array l = select(empty, 0, negative(y[0]));
      return {
          signed_sum(select(empty, 0, ct[0]), l, x[0], [&](const array& logs) {
            return walk_back(*this, kind_of, logs);
          })};
    }
    case CumulativeKind::max:
    case CumulativeKind::min:
      break;
  }
  Source from = source_of(*this, x[0]);
  return {scatter_along_axis(zeros_like(x[0]),
                             from.at,
                             select(from.any, ct[0], 0),
                             axis,
                             ScatterMode::add)};
}

Mapped Cumulative::vmap(const Arrays& x, std::span<const int> axes) const {
  Cumulative op = *this;
  op.axis = axis + 1;
  return {{record(op, {moveaxis(x[0], axes[0], 0)}, resolve({}))}, {0}};
}

namespace {

array cumulative(CumulativeKind kind,
                 const array& x,
                 std::optional<int> axis,
                 bool reverse,
                 bool inclusive,
                 StreamOrDevice s) {
  Cumulative op;
  op.kind_of = kind;
  op.reverse = reverse;
  op.inclusive = inclusive;
  array v = x;
  if (kind == CumulativeKind::sum && x.dtype() == bool_) {
    v = astype(x, int32, s);
  } else if (kind == CumulativeKind::logsumexp && !is_inexact(x.dtype())) {
    v = astype(x, float32, s);
  }
  if (!axis) {
    v = flatten(v, 0, -1, s);
  } else {
    op.axis = normalize_axis(op.name(), *axis, x.shape().size());
  }
  return record(op, {v}, resolve(s));
}

}  // namespace

#define TREADLE_CUMULATIVE(function, kind)                                   \
  array function(const array& x,                                             \
                 std::optional<int> axis,                                    \
                 bool reverse,                                               \
                 bool inclusive,                                             \
                 StreamOrDevice s) {                                         \
    return cumulative(CumulativeKind::kind, x, axis, reverse, inclusive, s); \
  }
TREADLE_CUMULATIVE(cumsum, sum)
TREADLE_CUMULATIVE(cumprod, prod)
TREADLE_CUMULATIVE(cummax, max)
TREADLE_CUMULATIVE(cummin, min)
TREADLE_CUMULATIVE(logcumsumexp, logsumexp)
#undef TREADLE_CUMULATIVE

}  // namespace treadle
