#include "treadle/ops/arg_reduce.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/views.h"

namespace treadle {

Specs ArgReduce::infer(std::span<const Spec> in) const {
  Spec out{in[0].shape, uint32};
  int64_t& length = out.shape[size_t(axis)];
  if (length == 0) {
    invalid(name(),
            fmt::format("axis {} of shape {} is empty; there is no {} of "
                        "nothing.",
                        axis,
                        treadle::to_string(in[0].shape),
                        name()));
  }
  if (length > int64_t(UINT32_MAX)) {
    invalid(name(),
            fmt::format("axis {} has length {}; the result counts in "
                        "uint32.",
                        axis,
                        length));
  }
  length = 1;
  return {out};
}

// A position does not move when x moves a little: all derivatives are zero.
Arrays ArgReduce::jvp(const Arrays&,
                      const Arrays&,
                      const Arrays&,
                      Argnums) const {
  return {array()};
}
Arrays ArgReduce::vjp(const Arrays&,
                      const Arrays&,
                      const Arrays&,
                      Argnums args) const {
  return Arrays(args.size());
}

Mapped ArgReduce::vmap(const Arrays& x, std::span<const int> axes) const {
  ArgReduce op = *this;
  op.axis = axis + 1;
  return {{record(op, {moveaxis(x[0], axes[0], 0)}, resolve({}))}, {0}};
}

namespace {

array arg_reduce(ArgKind kind,
                 const array& x,
                 std::optional<int> axis,
                 bool keepdims,
                 StreamOrDevice s) {
  ArgReduce op;
  op.reduce = kind;
  if (!axis) {
    array y = record(op, {reshape(x, {-1}, s)}, resolve(s));
    return reshape(y, keepdims ? Shape(x.shape().size(), 1) : Shape(), s);
  }
  op.axis = normalize_axis(op.name(), *axis, x.shape().size());
  array y = record(op, {x}, resolve(s));
  return keepdims ? y : squeeze(y, op.axis, s);
}

}  // namespace

array argmax(const array& x,
             std::optional<int> axis,
             bool keepdims,
             StreamOrDevice s) {
  return arg_reduce(ArgKind::max, x, axis, keepdims, s);
}
array argmin(const array& x,
             std::optional<int> axis,
             bool keepdims,
             StreamOrDevice s) {
  return arg_reduce(ArgKind::min, x, axis, keepdims, s);
}

}  // namespace treadle
