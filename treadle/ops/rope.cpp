#include "treadle/ops/rope.h"

#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// Features start, start + step, ... below stop of the last axis.
array features(const array& x, int64_t start, int64_t stop, int64_t step = 1) {
  Shape from(size_t(x.ndim()), 0), to = x.shape(), by(size_t(x.ndim()), 1);
  from.back() = start;
  to.back() = stop;
  by.back() = step;
  return slice(x, from, to, by);
}

// The angles of all pairs, (T, dims / 2) or (B, 1, ..., T, dims / 2).
array angles(const Rope& op, const Arrays& x, Dtype work) {
  const int64_t half = op.dims / 2;
  array offset = x[1];
  if (offset.ndim() == 1) {
    Shape per_example(size_t(x[0].ndim() - 1), 1);
    per_example[0] = offset.shape(0);
    offset = reshape(offset, per_example);
  }
  array t = (arange(x[0].shape(-2), work) + astype(offset, work)) * op.scale;
  array f = op.has_freqs
                ? reciprocal(astype(x[2], work))
                : exp(arange(half, work) * (-std::log(op.base) / double(half)));
  return expand_dims(t, -1) * f;
}

}  // namespace

Arrays Rope::expand(const Arrays& x) const {
  const int64_t half = dims / 2, size = x[0].shape(-1);
  const Dtype dtype = x[0].dtype(), work = dtype == float64 ? float64 : float32;
  array theta = angles(*this, x, work);
  array c = cos(theta), s = inverse ? -sin(theta) : sin(theta);
  array v = astype(x[0], work);
  array a = traditional ? features(v, 0, dims, 2) : features(v, 0, half);
  array b = traditional ? features(v, 1, dims, 2) : features(v, half, dims);
  array first = a * c - b * s, second = a * s + b * c;
  array y;
  if (traditional) {
    y = flatten(stack({first, second}, -1), -2, -1);
  } else {
    y = concatenate({first, second}, -1);
  }
  if (dims < size) y = concatenate({y, features(v, dims, size)}, -1);
  return {astype(y, dtype)};
}

// A rotation is linear in x; only frequencies need the long way.
Arrays Rope::jvp(const Arrays& x,
                 const Arrays&,
                 const Arrays& t,
                 Argnums args) const {
  if (args.size() != 1 || args[0] != 0)
    return jvp_by_expansion(*this, x, t, args);
  if (t[0].null()) return {array()};
  Arrays in = x;
  in[0] = t[0];
  return record_all(make_op(Rope(*this)), in, resolve({}));
}

Arrays Rope::vjp(const Arrays& x,
                 const Arrays&,
                 const Arrays& ct,
                 Argnums args) const {
  if (args.size() != 1 || args[0] != 0)
    return vjp_by_expansion(*this, x, ct, args);
  if (ct[0].null()) return {array()};
  Rope back = *this;
  back.inverse = !inverse;
  Arrays in = x;
  in[0] = ct[0];
  return record_all(make_op(back), in, resolve({}));
}

Mapped Rope::vmap(const Arrays& x, std::span<const int> axes) const {
  const bool one_offset = x[1].ndim() == 0 && axes[1] == kNotMapped;
  if (axes[0] == kNotMapped || !one_offset ||
      (has_freqs && axes[2] != kNotMapped))
    return vmap_by_expansion(*this, x, axes);
  // One offset for all: a further leading axis changes nothing.
  Arrays in = x;
  in[0] = moveaxis(x[0], axes[0], 0);
  return {record_all(make_op(Rope(*this)), in, resolve({})), {0}};
}

namespace fast {

namespace {

void check(const array& x, int dims, const array& offset, const array& freqs) {
  constexpr std::string_view op = "rope";
  if (x.ndim() < 3) {
    invalid(op,
            fmt::format("the input is {}; expected at least three axes, "
                        "(B, ..., T, D).",
                        to_string(x.spec())));
  }
  if (!is_floating(x.dtype())) {
    invalid(op,
            fmt::format("the input is {}; expected a floating dtype.",
                        to_string(x.spec())));
  }
  if (offset.ndim() > 1 || !is_integer(offset.dtype()) ||
      (offset.size() != 1 && offset.size() != x.shape(0))) {
    invalid(op,
            fmt::format("the offset is {}; expected an integer or one for "
                        "each example, {}.",
                        to_string(offset.spec()),
                        to_string(Shape{x.shape(0)})));
  }
  if (dims <= 0 || dims % 2 != 0 || dims > x.shape(-1)) {
    invalid(op,
            fmt::format("dims is {}; expected an even number in (0, {}].",
                        dims,
                        x.shape(-1)));
  }
  if (!freqs.null() && freqs.shape() != Shape{dims / 2}) {
    invalid(op,
            fmt::format("the freqs are {}; expected one for each pair, {}.",
                        to_string(freqs.spec()),
                        to_string(Shape{dims / 2})));
  }
}

}  // namespace

array rope(const array& x,
           int dims,
           bool traditional,
           std::optional<double> base,
           double scale,
           const array& offset,
           const array& freqs,
           StreamOrDevice s) {
  if (base.has_value() == !freqs.null()) {
    invalid("rope",
            base ? "got base and freqs; expected one of them."
                 : "got neither base nor freqs; expected one of them.");
  }
  check(x, dims, offset, freqs);
  if (x.size() == 0) return x;
  Rope op;
  op.dims = dims;
  op.traditional = traditional;
  op.base = base.value_or(1);
  op.scale = scale;
  op.has_freqs = !freqs.null();
  array at = astype(offset, int32, s);
  if (at.ndim() == 1 && at.size() == 1) at = squeeze(at, 0, s);
  Arrays in{x, at};
  if (op.has_freqs) {
    in.push_back(astype(freqs, x.dtype() == float64 ? float64 : float32, s));
  }
  return record(make_op(op), in, resolve(s));
}

array rope(const array& x,
           int dims,
           bool traditional,
           std::optional<double> base,
           double scale,
           int offset,
           const array& freqs,
           StreamOrDevice s) {
  return rope(
      x, dims, traditional, base, scale, array(offset, int32), freqs, s);
}

}  // namespace fast
}  // namespace treadle
