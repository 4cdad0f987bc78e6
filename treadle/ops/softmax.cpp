#include "treadle/ops/softmax.h"

#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

Specs Softmax::infer(std::span<const Spec> in) const { return {in[0]}; }

namespace {

// The dtype of the computation.
Dtype working(const Softmax& op, Dtype t) {
  return op.precise && is_half(t) ? float32 : t;
}

// y * (v - sum(v * y)): the Jacobian of softmax, which is symmetric.
array jacobian_times(const Softmax& op, const array& y, const array& v) {
  Dtype work = working(op, y.dtype());
  array p = astype(y, work), d = astype(v, work);
  return astype(p * (d - sum(p * d, op.axes, true)), y.dtype());
}

}  // namespace

Arrays Softmax::jvp(const Arrays&,
                    const Arrays& y,
                    const Arrays& t,
                    Argnums) const {
  if (t[0].null()) return {array()};
  return {jacobian_times(*this, y[0], t[0])};
}

Arrays Softmax::vjp(const Arrays&,
                    const Arrays& y,
                    const Arrays& ct,
                    Argnums) const {
  if (ct[0].null()) return {array()};
  if (!is_complex(y[0].dtype())) return {jacobian_times(*this, y[0], ct[0])};
  return {jacobian_times(*this, conjugate(y[0]), ct[0])};
}

Mapped Softmax::vmap(const Arrays& x, std::span<const int> mapped) const {
  Softmax op;
  op.precise = precise;
  for (int a : axes) op.axes.push_back(a + 1);
  return {{record(std::move(op), {moveaxis(x[0], mapped[0], 0)}, resolve({}))},
          {0}};
}

Arrays Softmax::expand(const Arrays& x) const {
  array v = astype(x[0], working(*this, x[0].dtype()));
  array e = exp(v - stop_gradient(max(v, axes, true)));
  return {astype(e / sum(e, axes, true), x[0].dtype())};
}

array softmax(const array& x,
              const AxisArg& axis,
              bool precise,
              StreamOrDevice s) {
  Softmax op;
  op.axes = axis.resolve("softmax", x.shape().size());
  op.precise = precise;
  array v = astype(x, at_least_float(x.dtype()), s);
  // The maximum of nothing is an error, the softmax of nothing is not.
  if (v.size() == 0) return v;
  return record(std::move(op), {v}, resolve(s));
}

array log_softmax(const array& x, const AxisArg& axis, StreamOrDevice s) {
  Axes axes = axis.resolve("log_softmax", x.shape().size());
  array v = astype(x, at_least_float(x.dtype()), s);
  return subtract(v, logsumexp(v, axes, true, s), s);
}

}  // namespace treadle
