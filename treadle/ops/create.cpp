#include "treadle/ops/create.h"

#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/views.h"

namespace treadle {

Specs Arange::infer(std::span<const Spec>) const {
  return {Spec{{count}, dtype}};
}
Arrays Arange::jvp(const Arrays&, const Arrays&, const Arrays&, Argnums) const {
  return {array()};
}
Arrays Arange::vjp(const Arrays&,
                   const Arrays&,
                   const Arrays&,
                   Argnums args) const {
  return Arrays(args.size());
}
Mapped Arange::vmap(const Arrays&, std::span<const int>) const {
  return not_mappable(op_name, "it has no input");
}

array full(const Shape& shape,
           const Term& value,
           std::optional<Dtype> dtype,
           StreamOrDevice s) {
  for (int64_t d : shape) {
    if (d < 0)
      invalid("full",
              fmt::format("negative length in shape {}.", to_string(shape)));
  }
  if (value.is_array()) {
    const array& v = value.as_array();
    return broadcast_to(astype(v, dtype.value_or(v.dtype()), s), shape, s);
  }
  array v(value.scalar(), dtype.value_or(value.scalar().default_dtype()));
  return broadcast_to(v, shape, s);
}

array zeros(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return full(shape, 0, dtype, s);
}
array ones(const Shape& shape, Dtype dtype, StreamOrDevice s) {
  return full(shape, 1, dtype, s);
}
array zeros_like(const array& x, StreamOrDevice s) {
  return zeros(x.shape(), x.dtype(), s);
}
array ones_like(const array& x, StreamOrDevice s) {
  return ones(x.shape(), x.dtype(), s);
}

array arange(const Scalar& start,
             const Scalar& stop,
             const Scalar& step,
             std::optional<Dtype> dtype,
             StreamOrDevice s) {
  auto whole = [](const Scalar& v) {
    return v.kind() <= Scalar::Kind::integer;
  };
  Arange op;
  Dtype natural = whole(start) && whole(stop) && whole(step)
                      ? promote_types(int32,
                                      promote_types(start.default_dtype(),
                                                    stop.default_dtype()))
                      : float32;
  op.dtype = dtype.value_or(natural);
  if (op.dtype == bool_) {
    invalid("arange", "dtype bool is not supported; expected a number type.");
  }
  op.start = start.real();
  op.step = step.real();
  double n = std::ceil((stop.real() - op.start) / op.step);
  if (op.step == 0 || std::isnan(n)) {
    invalid("arange",
            fmt::format("cannot count from {} to {} by {}.",
                        start.to_string(),
                        stop.to_string(),
                        step.to_string()));
  }
  if (n > double(int64_t(1) << 40)) {
    invalid("arange", fmt::format("{} values are too many.", n));
  }
  op.count = n > 0 ? int64_t(n) : 0;
  return record(std::move(op), {}, resolve(s));
}

array arange(const Scalar& stop, std::optional<Dtype> dtype, StreamOrDevice s) {
  return arange(stop.kind() == Scalar::Kind::floating ? Scalar(0.0) : Scalar(0),
                stop,
                1,
                dtype,
                s);
}

array eye(int n, int m, int k, Dtype dtype, StreamOrDevice s) {
  if (m < 0) m = n;
  array row = expand_dims(arange(n, int32, s), 1, s);
  array column = expand_dims(arange(m, int32, s), 0, s);
  return astype(equal(add(row, k, s), column, s), dtype, s);
}

}  // namespace treadle
