#include "treadle/ops/cross_entropy.h"

#include <limits>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

Dtype working(Dtype t) { return is_half(t) ? float32 : t; }

array hits(const array& logits, const array& targets) {
  return class_hits(
      targets, logits.shape(-1), logits.ndim() - 1, logits.ndim());
}

Mapped map_rows(OpPtr op, const Arrays& x, std::span<const int> axes) {
  int64_t n = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) n = x[i].shape(axes[i]);
  }
  Arrays in;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) {
      in.push_back(moveaxis(x[i], axes[i], 0));
      continue;
    }
    Shape shape = x[i].shape();
    shape.insert(shape.begin(), n);
    in.push_back(broadcast_to(x[i], shape));
  }
  Mapped m{record_all(std::move(op), in, resolve({})), {}};
  m.axes.assign(m.outputs.size(), 0);
  return m;
}

}  // namespace

array class_numbers(const array& targets, int64_t classes) {
  // A small type may not have a number for every class.
  array t = size_of(targets.dtype()) < 4 ? astype(targets, int32) : targets;
  return is_unsigned(t.dtype()) ? t : select(less(t, 0), t + classes, t);
}

// A comparison with the numbers of the classes joins the pass over the logits;
// a gather would need one of its own.
array class_hits(const array& targets, int64_t classes, int axis, int ndim) {
  const array t = class_numbers(targets, classes);
  Shape along(size_t(ndim - axis), 1);
  along[0] = classes;
  return equal(reshape(arange(classes, t.dtype()), along),
               expand_dims(t, axis));
}

Specs CrossEntropy::infer(std::span<const Spec> in) const {
  Spec out{in[1].shape, working(in[0].dtype)};
  return {out, out};
}

Arrays CrossEntropy::expand(const Arrays& x) const {
  array v = astype(x[0], working(x[0].dtype()));
  // The shift keeps both terms small, so that their difference is exact for
  // large logits too.
  array top = stop_gradient(max(v, -1, true));
  array z = v - top;
  array rest = log(sum(exp(z), -1));
  // A maximum, not a sum: a target that is no class has probability 0.
  constexpr double none = -std::numeric_limits<double>::infinity();
  array score = max(select(hits(v, x[1]), z, none), -1);
  array loss = smoothing == 0
                   ? rest - score
                   : rest - (1 - smoothing) * score - smoothing * mean(z, -1);
  return {loss, rest + squeeze(top, -1)};
}

Arrays CrossEntropy::vjp(const Arrays& x,
                         const Arrays& y,
                         const Arrays& ct,
                         Argnums args) const {
  if (!ct[1].null()) return vjp_by_expansion(*this, x, ct, args);
  Arrays out(args.size());
  if (ct[0].null()) return out;
  CrossEntropyGrad op;
  op.smoothing = smoothing;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == 0)
      out[i] = record(op, {x[0], x[1], y[1], ct[0]}, resolve({}));
  }
  return out;
}

Mapped CrossEntropy::vmap(const Arrays& x, std::span<const int> axes) const {
  return map_rows(make_op(CrossEntropy(*this)), x, axes);
}

Arrays CrossEntropyGrad::expand(const Arrays& x) const {
  array v = astype(x[0], working(x[0].dtype()));
  // From the logits alone, so that derivatives of this are whole.
  array e = exp(v - stop_gradient(max(v, -1, true)));
  array ct = expand_dims(x[3], -1);
  array d = e * (ct / sum(e, -1, true)) -
            select(hits(v, x[1]), (1 - smoothing) * ct, 0);
  if (smoothing > 0) d = d - smoothing / double(v.shape(-1)) * ct;
  return {astype(d, x[0].dtype())};
}

Mapped CrossEntropyGrad::vmap(const Arrays& x,
                              std::span<const int> axes) const {
  return map_rows(make_op(CrossEntropyGrad(*this)), x, axes);
}

namespace fast {

array cross_entropy(const array& logits,
                    const array& targets,
                    double smoothing,
                    StreamOrDevice s) {
  constexpr std::string_view name = CrossEntropy::op_name;
  if (logits.ndim() == 0 || !is_floating(logits.dtype())) {
    invalid(name,
            fmt::format("the logits are {}; expected (..., C) of a floating "
                        "dtype.",
                        to_string(logits.spec())));
  }
  Shape rows = logits.shape();
  rows.pop_back();
  if (targets.shape() != rows || !is_integer(targets.dtype())) {
    invalid(name,
            fmt::format("the targets are {} and the logits {}; expected class "
                        "numbers {} of an integer dtype.",
                        to_string(targets.spec()),
                        to_string(logits.spec()),
                        to_string(rows)));
  }
  if (!(smoothing >= 0 && smoothing < 1)) {
    invalid(name,
            fmt::format("label_smoothing is {}; expected [0, 1).", smoothing));
  }
  if (logits.shape(-1) == 0) {
    invalid(name,
            fmt::format("the logits are {}; expected at least one class.",
                        to_string(logits.spec())));
  }
  CrossEntropy op;
  op.smoothing = smoothing;
  return record(op, {logits, targets}, resolve(s));
}

}  // namespace fast
}  // namespace treadle
