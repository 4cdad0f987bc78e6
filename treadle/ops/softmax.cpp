#include "treadle/ops/softmax.h"

#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

Specs Softmax::infer(std::span<const Spec> in) const { return {in[0]}; }
Specs LogSoftmax::infer(std::span<const Spec> in) const { return {in[0]}; }

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

// The op on arrays with the mapped axis in front.
template <class Op>
Mapped in_front(Op op, const Arrays& x, std::span<const int> mapped) {
  for (int& a : op.axes) ++a;
  return {{record(std::move(op), {moveaxis(x[0], mapped[0], 0)}, resolve({}))},
          {0}};
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
  return in_front(*this, x, mapped);
}

Arrays Softmax::expand(const Arrays& x) const {
  array v = astype(x[0], working(*this, x[0].dtype()));
  array e = exp(v - stop_gradient(max(v, axes, true)));
  return {astype(e / sum(e, axes, true), x[0].dtype())};
}

// y = x - logsumexp(x), so dy = dx - sum(exp(y) dx).
Arrays LogSoftmax::jvp(const Arrays&,
                       const Arrays& y,
                       const Arrays& t,
                       Argnums) const {
  if (t[0].null()) return {array()};
  return {t[0] - sum(exp(y[0]) * t[0], axes, true)};
}

Arrays LogSoftmax::vjp(const Arrays&,
                       const Arrays& y,
                       const Arrays& ct,
                       Argnums) const {
  if (ct[0].null()) return {array()};
  const array log = is_complex(y[0].dtype()) ? conjugate(y[0]) : y[0];
  return {ct[0] - exp(log) * sum(ct[0], axes, true)};
}

Mapped LogSoftmax::vmap(const Arrays& x, std::span<const int> mapped) const {
  return in_front(*this, x, mapped);
}

Arrays LogSoftmax::expand(const Arrays& x) const {
  if (is_complex(x[0].dtype())) return {x[0] - logsumexp(x[0], axes, true)};
  // Shifted first: added to a large maximum the normaliser would round away.
  const array shifted = x[0] - stop_gradient(max(x[0], axes, true));
  return {shifted - log(sum(exp(shifted), axes, true))};
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
  LogSoftmax op;
  op.axes = axis.resolve("log_softmax", x.shape().size());
  array v = astype(x, at_least_float(x.dtype()), s);
  if (v.size() == 0) return v;
  return record(std::move(op), {v}, resolve(s));
}

}  // namespace treadle
