#include "treadle/ops/reinterpret.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/views.h"

namespace treadle {

// view ----------------------------------------------------------------------

Specs BitCast::infer(std::span<const Spec> in) const {
  Spec out{in[0].shape, dtype};
  int64_t from = from_size, to = int64_t(size_of(dtype));
  if (from == to) return {out};
  if (out.shape.empty()) {
    invalid(op_name,
            fmt::format("a scalar of {} cannot be seen as {}: the sizes "
                        "differ.",
                        name_of(in[0].dtype),
                        name_of(dtype)));
  }
  int64_t bytes = out.shape.back() * from;
  if (bytes % to != 0) {
    invalid(op_name,
            fmt::format("the last axis of {} has {} bytes; expected a multiple "
                        "of the {} of {}.",
                        treadle::to_string(in[0]),
                        bytes,
                        to,
                        name_of(dtype)));
  }
  out.shape.back() = bytes / to;
  return {out};
}

namespace {

// A real vector space under two names: sums and multiples mean the same.
bool linear(Dtype a, Dtype b) {
  return a == b || (a == float32 && b == complex64) ||
         (a == complex64 && b == float32);
}

void check_linear(Dtype from, Dtype to) {
  if (linear(from, to)) return;
  invalid("view",
          fmt::format(
              "from {} to {} has no derivative.", name_of(from), name_of(to)));
}

}  // namespace

Arrays BitCast::jvp(const Arrays& x,
                    const Arrays&,
                    const Arrays& t,
                    Argnums) const {
  if (t[0].null()) return {array()};
  check_linear(x[0].dtype(), dtype);
  return {treadle::view(t[0], dtype)};
}

Arrays BitCast::vjp(const Arrays& x,
                    const Arrays&,
                    const Arrays& ct,
                    Argnums) const {
  if (ct[0].null() || !is_inexact(x[0].dtype())) return {array()};
  check_linear(x[0].dtype(), dtype);
  return {treadle::view(ct[0], x[0].dtype())};
}

Mapped BitCast::vmap(const Arrays& x, std::span<const int> axes) const {
  // The last axis must stay the last; of scalars there is none.
  array v = moveaxis(x[0], axes[0], 0);
  if (v.ndim() > 1) return {{treadle::view(v, dtype)}, {0}};
  return {{squeeze(treadle::view(expand_dims(v, 1), dtype), 1)}, {0}};
}

bool BitCast::view(const Spec& in,
                   const Layout& layout,
                   const Spec& out,
                   Layout* result) const {
  int64_t from = from_size, to = int64_t(size_of(dtype));
  if (from == to) {
    *result = layout;
    return true;
  }
  if (!is_row_contiguous(in.shape, layout.strides)) return false;
  if (layout.offset * from % to != 0) return false;
  result->offset = layout.offset * from / to;
  result->strides = row_major_strides(out.shape);
  return true;
}

array view(const array& x, Dtype dtype, StreamOrDevice s) {
  if (x.dtype() == dtype) return x;
  // Bytes other than 0 and 1 are no bools.
  if (dtype == bool_) {
    return not_equal(view(x, uint8, s), 0, s);
  }
  BitCast op;
  op.dtype = dtype;
  op.from_size = int(x.itemsize());
  // A slice may begin between two elements of a larger type; a copy does not.
  bool grows = x.itemsize() < size_of(dtype);
  return record(op, {grows ? contiguous(x, s) : x}, resolve(s));
}

array real(const array& x, StreamOrDevice s) {
  return is_complex(x.dtype()) ? astype(x, float32, s) : x;
}

array imag(const array& x, StreamOrDevice s) {
  if (!is_complex(x.dtype())) return zeros_like(x, s);
  array pairs = view(expand_dims(x, -1, s), float32, s);  // (..., 2)
  Shape start(pairs.shape().size(), 0);
  start.back() = 1;
  return squeeze(slice(pairs, start, pairs.shape(), {}, s), -1, s);
}

// as_strided ----------------------------------------------------------------

Specs AsStrided::infer(std::span<const Spec> in) const {
  Spec out{shape, in[0].dtype};
  if (size_of(shape) == 0) return {out};
  int64_t low = offset, high = offset;
  bool fits = true;
  for (size_t i = 0; fits && i < shape.size(); ++i) {
    int64_t way, &end = strides[i] < 0 ? low : high;
    fits = !__builtin_mul_overflow(shape[i] - 1, strides[i], &way) &&
           !__builtin_add_overflow(end, way, &end);
  }
  if (!fits || low < 0 || high >= size_of(in[0].shape)) {
    invalid(op_name,
            fmt::format("shape {}, strides {} and offset {} read outside of "
                        "{}; expected elements 0 to {}.",
                        treadle::to_string(shape),
                        treadle::to_string(strides),
                        offset,
                        treadle::to_string(in[0]),
                        size_of(in[0].shape) - 1));
  }
  return {out};
}

Arrays AsStrided::jvp(const Arrays&,
                      const Arrays&,
                      const Arrays& t,
                      Argnums) const {
  if (t[0].null()) return {array()};
  return {record(*this, {t[0]}, resolve({}))};
}

Arrays AsStrided::vjp(const Arrays& x,
                      const Arrays&,
                      const Arrays& ct,
                      Argnums) const {
  if (ct[0].null() || !is_inexact(x[0].dtype())) return {array()};
  // An element that was read several times gets the sum.
  array at = full({}, offset, int64);
  for (size_t i = 0; i < shape.size(); ++i) {
    Shape along(shape.size() - i, 1);
    along[0] = shape[i];
    at = at + reshape(arange(shape[i], int64) * strides[i], along);
  }
  at = reshape(broadcast_to(at, shape), {-1});
  array flat = zeros({x[0].size()}, x[0].dtype());
  flat = scatter(flat, at, reshape(ct[0], {-1}), 0, ScatterMode::add);
  return {reshape(flat, x[0].shape())};
}

Mapped AsStrided::vmap(const Arrays& x, std::span<const int> axes) const {
  array v = moveaxis(x[0], axes[0], 0);
  AsStrided op;
  int64_t batch = v.shape(0);
  op.shape = Shape{batch};
  op.strides = Shape{batch == 0 ? 0 : v.size() / batch};
  op.shape.append(shape.begin(), shape.end());
  op.strides.append(strides.begin(), strides.end());
  op.offset = offset;
  return {{record(std::move(op), {v}, resolve({}))}, {0}};
}

bool AsStrided::view(const Spec& in,
                     const Layout& layout,
                     const Spec&,
                     Layout* result) const {
  if (!is_row_contiguous(in.shape, layout.strides)) return false;
  result->offset = layout.offset + offset;
  result->strides = strides;
  return true;
}

void AsStrided::hash_facts(Hasher& h, std::span<const Spec>) const {
  h.add(shape.size());
}

array as_strided(const array& x,
                 std::optional<Shape> shape,
                 std::optional<Shape> strides,
                 int64_t offset,
                 StreamOrDevice s) {
  AsStrided op;
  op.shape = x.shape();
  if (shape) op.shape = std::move(*shape);
  for (int64_t d : op.shape) {
    if (d < 0) {
      invalid("as_strided",
              fmt::format("negative length in shape {}.", to_string(op.shape)));
    }
  }
  Strides plain = row_major_strides(op.shape);
  op.strides =
      strides ? std::move(*strides) : Shape(plain.begin(), plain.end());
  op.offset = offset;
  if (op.strides.size() != op.shape.size()) {
    invalid(
        "as_strided",
        fmt::format(
            "got {} strides for {} axes.", op.strides.size(), op.shape.size()));
  }
  return record(std::move(op), {x}, resolve(s));
}

}  // namespace treadle
