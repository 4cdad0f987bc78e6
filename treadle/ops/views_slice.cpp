// Slices, and arrays with a slice replaced.
#include <algorithm>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/views.h"
#include "treadle/ops/views_rules.h"

namespace treadle {

// slice ---------------------------------------------------------------------

namespace {

int64_t slice_length(int64_t start, int64_t stop, int64_t step) {
  int64_t n = step > 0 ? (stop - start + step - 1) / step
                       : (start - stop - step - 1) / -step;
  return std::max<int64_t>(n, 0);
}

// Python's rules: negative positions count from the end, all are clamped.
void normalize_slice(std::string_view op,
                     const Shape& shape,
                     Shape& start,
                     Shape& stop,
                     Shape& step) {
  if (step.empty()) step.assign(shape.size(), 1);
  if (start.size() != shape.size() || stop.size() != shape.size() ||
      step.size() != shape.size()) {
    invalid(op,
            fmt::format("start, stop and step need {} entries each for shape "
                        "{}; got {}, {}, {}.",
                        shape.size(),
                        to_string(shape),
                        start.size(),
                        stop.size(),
                        step.size()));
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t n = shape[i];
    if (step[i] == 0) invalid(op, fmt::format("step 0 on axis {}.", i));
    bool back = step[i] < 0;
    auto clamp = [&](int64_t v) {
      if (v < 0) v += n;
      return std::clamp<int64_t>(v, back ? -1 : 0, back ? n - 1 : n);
    };
    start[i] = clamp(start[i]);
    // A stop below -n means "to the very front" when walking back.
    stop[i] = clamp(stop[i]);
  }
}

Shape slice_shape(const Shape& start, const Shape& stop, const Shape& step) {
  Shape out;
  for (size_t i = 0; i < start.size(); ++i) {
    out.push_back(slice_length(start[i], stop[i], step[i]));
  }
  return out;
}

Layout slice_layout(const Layout& layout,
                    const Shape& start,
                    const Shape& step) {
  Layout out = layout;
  for (size_t i = 0; i < start.size(); ++i) {
    out.offset += start[i] * layout.strides[i];
    out.strides[i] *= step[i];
  }
  return out;
}

Slice make_slice(const Shape& start, const Shape& stop, const Shape& step) {
  Slice op;
  op.start = start;
  op.stop = stop;
  op.step = step;
  return op;
}

Shape with_front_start(const Shape& s) { return prepend(0, s); }

}  // namespace

Specs Slice::infer(std::span<const Spec> in) const {
  return {Spec{slice_shape(start, stop, step), in[0].dtype}};
}
Arrays Slice::jvp(const Arrays&,
                  const Arrays&,
                  const Arrays& t,
                  Argnums) const {
  return linear_jvp(*this, t);
}
Arrays Slice::vjp(const Arrays& x,
                  const Arrays&,
                  const Arrays& ct,
                  Argnums) const {
  if (ct[0].null()) return {array()};
  SliceUpdate op;
  op.start = start;
  op.stop = stop;
  op.step = step;
  return {record(std::move(op), {zeros_like(x[0]), ct[0]}, resolve({}))};
}
Mapped Slice::vmap(const Arrays& x, std::span<const int> axes) const {
  array v = mapped_first(x[0], axes[0]);
  Slice op;
  op.start = with_front_start(start);
  op.stop = prepend(v.shape(0), stop);
  op.step = prepend(1, step);
  return {{record(std::move(op), {v}, resolve({}))}, {0}};
}
bool Slice::view(const Spec&,
                 const Layout& layout,
                 const Spec& out,
                 Layout* result) const {
  *result = size_of(out.shape) ? slice_layout(layout, start, step) : layout;
  return true;
}

array slice(
    const array& x, Shape start, Shape stop, Shape step, StreamOrDevice s) {
  normalize_slice("slice", x.shape(), start, stop, step);
  Slice op = make_slice(start, stop, step);
  if (op.start == Shape(x.shape().size(), 0) && op.stop == x.shape() &&
      op.step == Shape(x.shape().size(), 1)) {
    return x;
  }
  return record(std::move(op), {x}, resolve(s));
}

Specs SliceUpdate::infer(std::span<const Spec> in) const {
  Shape want = slice_shape(start, stop, step);
  if (in[1].shape != want) {
    invalid(op_name,
            fmt::format("update of shape {} for a slice of shape {}.",
                        treadle::to_string(in[1].shape),
                        treadle::to_string(want)));
  }
  return {in[0]};
}
Arrays SliceUpdate::jvp(const Arrays& x,
                        const Arrays&,
                        const Arrays& t,
                        Argnums args) const {
  array tx, tu;
  for (size_t i = 0; i < args.size(); ++i) (args[i] == 0 ? tx : tu) = t[i];
  if (tx.null() && tu.null()) return {array()};
  if (tx.null()) tx = zeros_like(x[0]);
  if (tu.null()) tu = zeros_like(x[1]);
  return {record(*this, {tx, tu}, resolve({}))};
}
Arrays SliceUpdate::vjp(const Arrays& x,
                        const Arrays&,
                        const Arrays& ct,
                        Argnums args) const {
  return cotangents(ct[0], args, [&](int arg) {
    return arg == 0
               ? record(*this, {ct[0], zeros_like(x[1])}, resolve({}))
               : record(make_slice(start, stop, step), {ct[0]}, resolve({}));
  });
}
Mapped SliceUpdate::vmap(const Arrays& x, std::span<const int> axes) const {
  int64_t batch =
      axes[0] != kNotMapped ? x[0].shape(axes[0]) : x[1].shape(axes[1]);
  auto batched = [&](size_t i) {
    return axes[i] != kNotMapped
               ? mapped_first(x[i], axes[i])
               : broadcast_to(x[i], prepend(batch, x[i].shape()));
  };
  SliceUpdate op;
  op.start = with_front_start(start);
  op.stop = prepend(batch, stop);
  op.step = prepend(1, step);
  return {{record(std::move(op), {batched(0), batched(1)}, resolve({}))}, {0}};
}

array slice_update(const array& x,
                   const array& update,
                   Shape start,
                   Shape stop,
                   Shape step,
                   StreamOrDevice s) {
  normalize_slice("slice_update", x.shape(), start, stop, step);
  Shape want = slice_shape(start, stop, step);
  array u = astype(update, x.dtype(), s);
  if (broadcast_shapes("slice_update", u.shape(), want) != want) {
    invalid("slice_update",
            fmt::format("update of shape {} does not fit the slice "
                        "of shape {}.",
                        to_string(u.shape()),
                        to_string(want)));
  }
  SliceUpdate op;
  op.start = start;
  op.stop = stop;
  op.step = step;
  return record(std::move(op), {x, broadcast_to(u, want, s)}, resolve(s));
}

}  // namespace treadle
