#include "treadle/ops/views.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/node.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"

namespace treadle {

namespace {

// The mapped axis of x to the front.
array mapped_first(const array& x, int axis) {
  return axis == 0 ? x : moveaxis(x, axis, 0);
}

// A shape-like list with one more entry in front.
Shape prepend(int64_t v, const Shape& s) {
  Shape out{v};
  out.append(s.begin(), s.end());
  return out;
}

Axes shifted(const Axes& axes) {
  Axes out;
  for (int a : axes) out.push_back(a + 1);
  return out;
}

// The tangent of an op that is linear in its one input: the op on the tangent.
template <class T>
Arrays linear_jvp(const T& op, const Arrays& t) {
  if (t[0].null()) return {array()};
  return {record(op, {t[0]}, resolve({}))};
}

}  // namespace

// identity ------------------------------------------------------------------

Specs Identity::infer(std::span<const Spec> in) const { return {in[0]}; }
Arrays Identity::jvp(const Arrays&,
                     const Arrays&,
                     const Arrays& t,
                     Argnums) const {
  return {stop ? array() : t[0]};
}
Arrays Identity::vjp(const Arrays&,
                     const Arrays&,
                     const Arrays& ct,
                     Argnums) const {
  return {stop ? array() : ct[0]};
}
Mapped Identity::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{record(*this, {x[0]}, resolve({}))}, {axes[0]}};
}
bool Identity::view(const Spec&,
                    const Layout& layout,
                    const Spec&,
                    Layout* result) const {
  *result = layout;
  return true;
}

array stop_gradient(const array& x, StreamOrDevice s) {
  Identity op;
  op.stop = true;
  return record(op, {x}, resolve(s));
}

// broadcast_to --------------------------------------------------------------

Specs Broadcast::infer(std::span<const Spec> in) const {
  if (broadcast_shapes(op_name, in[0].shape, shape) != shape) {
    invalid(op_name,
            fmt::format("cannot broadcast shape {} to {}.",
                        treadle::to_string(in[0].shape),
                        treadle::to_string(shape)));
  }
  return {Spec{shape, in[0].dtype}};
}
Arrays Broadcast::jvp(const Arrays&,
                      const Arrays&,
                      const Arrays& t,
                      Argnums) const {
  return linear_jvp(*this, t);
}
Arrays Broadcast::vjp(const Arrays& x,
                      const Arrays&,
                      const Arrays& ct,
                      Argnums) const {
  if (ct[0].null()) return {array()};
  const Shape& in = x[0].shape();
  size_t lead = shape.size() - in.size();
  Axes stretched;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i < lead || (in[i - lead] == 1 && shape[i] != 1))
      stretched.push_back(int(i));
  }
  array g = stretched.empty() ? ct[0] : sum(ct[0], stretched, true);
  return {reshape(g, in)};
}
Mapped Broadcast::vmap(const Arrays& x, std::span<const int> axes) const {
  array v = mapped_first(x[0], axes[0]);
  while (v.ndim() < int(shape.size()) + 1) v = expand_dims(v, 1);
  return {{broadcast_to(v, prepend(v.shape(0), shape))}, {0}};
}
bool Broadcast::view(const Spec& in,
                     const Layout& layout,
                     const Spec& out,
                     Layout* result) const {
  size_t lead = out.shape.size() - in.shape.size();
  result->offset = layout.offset;
  result->strides.assign(out.shape.size(), 0);
  for (size_t i = 0; i < in.shape.size(); ++i) {
    if (in.shape[i] == out.shape[lead + i]) {
      result->strides[lead + i] = layout.strides[i];
    }
  }
  return true;
}
void Broadcast::hash_facts(Hasher& h, std::span<const Spec> in) const {
  uint64_t mask = shape.size();
  size_t lead = shape.size() - in[0].shape.size();
  for (size_t i = 0; i < in[0].shape.size(); ++i) {
    mask = mask * 2 + (in[0].shape[i] == shape[lead + i]);
  }
  h.add(mask);
}

array broadcast_to(const array& x, const Shape& shape, StreamOrDevice s) {
  if (x.shape() == shape) return x;
  Broadcast op;
  op.shape = shape;
  return record(std::move(op), {x}, resolve(s));
}

Arrays broadcast_arrays(const Arrays& x, StreamOrDevice s) {
  Shape shape;
  for (const array& a : x)
    shape = broadcast_shapes("broadcast_arrays", shape, a.shape());
  Arrays out;
  for (const array& a : x) out.push_back(broadcast_to(a, shape, s));
  return out;
}

// reshape -------------------------------------------------------------------

Specs Reshape::infer(std::span<const Spec> in) const {
  if (size_of(in[0].shape) != size_of(shape)) {
    invalid(op_name,
            fmt::format("cannot reshape {} to {}: {} elements, expected {}.",
                        treadle::to_string(in[0].shape),
                        treadle::to_string(shape),
                        size_of(in[0].shape),
                        size_of(shape)));
  }
  return {Spec{shape, in[0].dtype}};
}
Arrays Reshape::jvp(const Arrays&,
                    const Arrays&,
                    const Arrays& t,
                    Argnums) const {
  return linear_jvp(*this, t);
}
Arrays Reshape::vjp(const Arrays& x,
                    const Arrays&,
                    const Arrays& ct,
                    Argnums) const {
  if (ct[0].null()) return {array()};
  return {reshape(ct[0], x[0].shape())};
}
Mapped Reshape::vmap(const Arrays& x, std::span<const int> axes) const {
  array v = mapped_first(x[0], axes[0]);
  return {{reshape(v, prepend(v.shape(0), shape))}, {0}};
}
bool Reshape::view(const Spec& in,
                   const Layout& layout,
                   const Spec& out,
                   Layout* result) const {
  if (!is_row_contiguous(in.shape, layout.strides)) return false;
  result->offset = layout.offset;
  result->strides = row_major_strides(out.shape);
  return true;
}
void Reshape::hash_facts(Hasher& h, std::span<const Spec>) const {
  h.add(shape.size());
}

array reshape(const array& x, Shape shape, StreamOrDevice s) {
  int unknown = -1;
  int64_t known = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == -1 && unknown < 0) {
      unknown = int(i);
    } else if (shape[i] < 0) {
      invalid("reshape",
              fmt::format("bad shape {}: lengths are 0 or more, and "
                          "at most one is -1.",
                          to_string(shape)));
    } else {
      known *= shape[i];
    }
  }
  if (unknown >= 0) {
    if (known == 0 || x.size() % known != 0) {
      invalid("reshape",
              fmt::format("cannot fit {} elements of shape {} into {}.",
                          x.size(),
                          to_string(x.shape()),
                          to_string(shape)));
    }
    shape[size_t(unknown)] = x.size() / known;
  }
  if (shape == x.shape()) return x;
  Reshape op;
  op.shape = std::move(shape);
  return record(std::move(op), {x}, resolve(s));
}

array flatten(const array& x, int start_axis, int end_axis, StreamOrDevice s) {
  if (x.ndim() == 0) return reshape(x, {1}, s);
  int start = normalize_axis("flatten", start_axis, x.shape().size());
  int end = normalize_axis("flatten", end_axis, x.shape().size());
  if (end < start) {
    invalid(
        "flatten",
        fmt::format(
            "start axis {} lies behind end axis {}.", start_axis, end_axis));
  }
  Shape shape;
  int64_t merged = 1;
  for (int i = 0; i < x.ndim(); ++i) {
    if (i < start || i > end) {
      shape.push_back(x.shape()[size_t(i)]);
    } else {
      merged *= x.shape()[size_t(i)];
      if (i == end) shape.push_back(merged);
    }
  }
  return reshape(x, std::move(shape), s);
}

array unflatten(const array& x, int axis, Shape shape, StreamOrDevice s) {
  int ax = normalize_axis("unflatten", axis, x.shape().size());
  const int64_t length = x.shape()[size_t(ax)];
  int64_t known = 1;
  for (int64_t d : shape) known *= d == -1 ? 1 : d;
  for (int64_t& d : shape) {
    if (d == -1 && known > 0) d = length / known;
  }
  Shape out(x.shape().begin(), x.shape().begin() + ax);
  out.append(shape.begin(), shape.end());
  out.append(x.shape().begin() + ax + 1, x.shape().end());
  return reshape(x, std::move(out), s);
}

// expand_dims, squeeze ------------------------------------------------------

Specs ExpandDims::infer(std::span<const Spec> in) const {
  Shape out = in[0].shape;
  for (int a : axes) out.insert(out.begin() + a, 1);
  return {Spec{out, in[0].dtype}};
}
Arrays ExpandDims::jvp(const Arrays&,
                       const Arrays&,
                       const Arrays& t,
                       Argnums) const {
  return linear_jvp(*this, t);
}
Arrays ExpandDims::vjp(const Arrays&,
                       const Arrays&,
                       const Arrays& ct,
                       Argnums) const {
  if (ct[0].null()) return {array()};
  return {squeeze(ct[0], axes)};
}
Mapped ExpandDims::vmap(const Arrays& x, std::span<const int> axes_) const {
  return {{expand_dims(mapped_first(x[0], axes_[0]), shifted(axes))}, {0}};
}
bool ExpandDims::view(const Spec&,
                      const Layout& layout,
                      const Spec&,
                      Layout* result) const {
  *result = layout;
  for (int a : axes) {
    int64_t step =
        size_t(a) < result->strides.size() ? result->strides[size_t(a)] : 1;
    result->strides.insert(result->strides.begin() + a, step);
  }
  return true;
}

array expand_dims(const array& x, const Axes& axes, StreamOrDevice s) {
  ExpandDims op;
  op.axes = normalize_axes("expand_dims", axes, x.shape().size() + axes.size());
  if (op.axes.empty()) return x;
  return record(std::move(op), {x}, resolve(s));
}
array expand_dims(const array& x, int axis, StreamOrDevice s) {
  return expand_dims(x, Axes{axis}, s);
}

Specs Squeeze::infer(std::span<const Spec> in) const {
  Shape out;
  for (size_t i = 0; i < in[0].shape.size(); ++i) {
    bool drop = std::find(axes.begin(), axes.end(), int(i)) != axes.end();
    if (drop && in[0].shape[i] != 1) {
      invalid(op_name,
              fmt::format("axis {} of shape {} has length {}; expected 1.",
                          i,
                          treadle::to_string(in[0].shape),
                          in[0].shape[i]));
    }
    if (!drop) out.push_back(in[0].shape[i]);
  }
  return {Spec{out, in[0].dtype}};
}
Arrays Squeeze::jvp(const Arrays&,
                    const Arrays&,
                    const Arrays& t,
                    Argnums) const {
  return linear_jvp(*this, t);
}
Arrays Squeeze::vjp(const Arrays&,
                    const Arrays&,
                    const Arrays& ct,
                    Argnums) const {
  if (ct[0].null()) return {array()};
  return {expand_dims(ct[0], axes)};
}
Mapped Squeeze::vmap(const Arrays& x, std::span<const int> axes_) const {
  return {{squeeze(mapped_first(x[0], axes_[0]), shifted(axes))}, {0}};
}
bool Squeeze::view(const Spec&,
                   const Layout& layout,
                   const Spec&,
                   Layout* result) const {
  result->offset = layout.offset;
  result->strides.clear();
  for (size_t i = 0; i < layout.strides.size(); ++i) {
    if (std::find(axes.begin(), axes.end(), int(i)) == axes.end()) {
      result->strides.push_back(layout.strides[i]);
    }
  }
  return true;
}

array squeeze(const array& x, const Axes& axes, StreamOrDevice s) {
  Squeeze op;
  op.axes = normalize_axes("squeeze", axes, x.shape().size());
  if (op.axes.empty()) return x;
  return record(std::move(op), {x}, resolve(s));
}
array squeeze(const array& x, int axis, StreamOrDevice s) {
  return squeeze(x, Axes{axis}, s);
}
array squeeze(const array& x, StreamOrDevice s) {
  Axes axes;
  for (int i = 0; i < x.ndim(); ++i) {
    if (x.shape()[size_t(i)] == 1) axes.push_back(i);
  }
  return squeeze(x, axes, s);
}

// transpose -----------------------------------------------------------------

Specs Transpose::infer(std::span<const Spec> in) const {
  Shape out;
  for (int a : axes) out.push_back(in[0].shape[size_t(a)]);
  return {Spec{out, in[0].dtype}};
}
Arrays Transpose::jvp(const Arrays&,
                      const Arrays&,
                      const Arrays& t,
                      Argnums) const {
  return linear_jvp(*this, t);
}
Arrays Transpose::vjp(const Arrays&,
                      const Arrays&,
                      const Arrays& ct,
                      Argnums) const {
  if (ct[0].null()) return {array()};
  Axes back(axes.size());
  for (size_t i = 0; i < axes.size(); ++i) back[size_t(axes[i])] = int(i);
  // A cotangent that was computed in the input's order is not turned twice.
  const Op* made_by = ct[0].node()->op.get();
  const Transpose* turned = made_by ? as<Transpose>(*made_by) : nullptr;
  if (turned && turned->axes == axes) return {ct[0].node()->inputs()[0]};
  return {transpose(ct[0], back)};
}
Mapped Transpose::vmap(const Arrays& x, std::span<const int> axes_) const {
  Axes all{0};
  for (int a : axes) all.push_back(a + 1);
  return {{transpose(mapped_first(x[0], axes_[0]), all)}, {0}};
}
bool Transpose::view(const Spec&,
                     const Layout& layout,
                     const Spec&,
                     Layout* result) const {
  result->offset = layout.offset;
  result->strides.clear();
  for (int a : axes) result->strides.push_back(layout.strides[size_t(a)]);
  return true;
}

array transpose(const array& x, const Axes& axes, StreamOrDevice s) {
  Transpose op;
  for (int a : axes)
    op.axes.push_back(normalize_axis("transpose", a, x.shape().size()));
  Axes sorted = op.axes;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted.size() != x.shape().size() || sorted[i] != int(i)) {
      invalid("transpose",
              fmt::format("axes {} are not a permutation of the {} "
                          "axes of shape {}.",
                          fields::text(axes),
                          x.ndim(),
                          to_string(x.shape())));
    }
  }
  if (std::equal(op.axes.begin(), op.axes.end(), sorted.begin())) return x;
  return record(std::move(op), {x}, resolve(s));
}
array transpose(const array& x, StreamOrDevice s) {
  Axes axes;
  for (int i = x.ndim(); i-- > 0;) axes.push_back(i);
  return transpose(x, axes, s);
}
array swapaxes(const array& x, int axis1, int axis2, StreamOrDevice s) {
  Axes axes(x.shape().size());
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[size_t(normalize_axis("swapaxes", axis1, axes.size()))],
            axes[size_t(normalize_axis("swapaxes", axis2, axes.size()))]);
  return transpose(x, axes, s);
}
array moveaxis(const array& x, int source, int destination, StreamOrDevice s) {
  int from = normalize_axis("moveaxis", source, x.shape().size());
  int to = normalize_axis("moveaxis", destination, x.shape().size());
  Axes axes;
  for (int i = 0; i < x.ndim(); ++i) {
    if (i != from) axes.push_back(i);
  }
  axes.insert(axes.begin() + to, from);
  return transpose(x, axes, s);
}

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
  Arrays out(args.size());
  if (ct[0].null()) return out;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == 0) {
      out[i] = record(*this, {ct[0], zeros_like(x[1])}, resolve({}));
    } else {
      out[i] = record(make_slice(start, stop, step), {ct[0]}, resolve({}));
    }
  }
  return out;
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

// astype, contiguous --------------------------------------------------------

Specs AsType::infer(std::span<const Spec> in) const {
  return {Spec{in[0].shape, dtype}};
}
Arrays AsType::jvp(const Arrays&,
                   const Arrays&,
                   const Arrays& t,
                   Argnums) const {
  if (!is_inexact(dtype)) return {array()};
  return linear_jvp(*this, t);
}
Arrays AsType::vjp(const Arrays& x,
                   const Arrays&,
                   const Arrays& ct,
                   Argnums) const {
  if (ct[0].null() || !is_inexact(x[0].dtype())) return {array()};
  return {astype(ct[0], x[0].dtype())};
}
Mapped AsType::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{astype(x[0], dtype)}, {axes[0]}};
}

array astype(const array& x, Dtype dtype, StreamOrDevice s) {
  if (x.dtype() == dtype) return x;
  AsType op;
  op.dtype = dtype;
  return record(std::move(op), {x}, resolve(s));
}

Specs Contiguous::infer(std::span<const Spec> in) const { return {in[0]}; }
Arrays Contiguous::jvp(const Arrays&,
                       const Arrays&,
                       const Arrays& t,
                       Argnums) const {
  return {t[0]};
}
Arrays Contiguous::vjp(const Arrays&,
                       const Arrays&,
                       const Arrays& ct,
                       Argnums) const {
  return {ct[0]};
}
Mapped Contiguous::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{contiguous(x[0])}, {axes[0]}};
}

array contiguous(const array& x, StreamOrDevice s) {
  return record(Contiguous{}, {x}, resolve(s));
}

// pad, concatenate ----------------------------------------------------------

Specs Pad::infer(std::span<const Spec> in) const {
  Shape out = in[0].shape;
  for (size_t i = 0; i < out.size(); ++i) out[i] += low[i] + high[i];
  return {Spec{out, in[0].dtype}};
}
Arrays Pad::jvp(const Arrays&, const Arrays&, const Arrays& t, Argnums) const {
  return linear_jvp(*this, t);
}
Arrays Pad::vjp(const Arrays& x,
                const Arrays&,
                const Arrays& ct,
                Argnums) const {
  if (ct[0].null()) return {array()};
  Shape stop = low;
  for (size_t i = 0; i < stop.size(); ++i) stop[i] += x[0].shape()[i];
  return {slice(ct[0], low, stop)};
}
Mapped Pad::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{pad(mapped_first(x[0], axes[0]), prepend(0, low), prepend(0, high))},
          {0}};
}

array pad(const array& x,
          const Shape& low,
          const Shape& high,
          StreamOrDevice s) {
  bool none = true;
  if (low.size() != x.shape().size() || high.size() != x.shape().size()) {
    invalid("pad",
            fmt::format("widths for {} and {} axes; x has {}.",
                        low.size(),
                        high.size(),
                        x.ndim()));
  }
  for (size_t i = 0; i < low.size(); ++i) {
    none = none && low[i] == 0 && high[i] == 0;
    if (low[i] < 0 || high[i] < 0) {
      invalid("pad",
              fmt::format(
                  "negative width on axis {}: ({}, {}).", i, low[i], high[i]));
    }
  }
  if (none) return x;
  Pad op;
  op.low = low;
  op.high = high;
  return record(std::move(op), {x}, resolve(s));
}

Specs Concatenate::infer(std::span<const Spec> in) const {
  Shape out = in[0].shape;
  for (const Spec& s : in.subspan(1)) {
    bool fits = s.shape.size() == out.size();
    for (size_t i = 0; fits && i < out.size(); ++i) {
      fits = int(i) == axis || s.shape[i] == out[i];
    }
    if (!fits) {
      invalid(op_name,
              fmt::format("shapes {} and {} differ beyond axis {}.",
                          treadle::to_string(in[0].shape),
                          treadle::to_string(s.shape),
                          axis));
    }
    out[size_t(axis)] += s.shape[size_t(axis)];
  }
  return {Spec{out, in[0].dtype}};
}
Arrays Concatenate::jvp(const Arrays& x,
                        const Arrays&,
                        const Arrays& t,
                        Argnums args) const {
  Arrays parts;
  for (const array& a : x) parts.push_back(zeros_like(a));
  for (size_t i = 0; i < args.size(); ++i) {
    if (!t[i].null()) parts[size_t(args[i])] = t[i];
  }
  return {concatenate(parts, axis)};
}
Arrays Concatenate::vjp(const Arrays& x,
                        const Arrays&,
                        const Arrays& ct,
                        Argnums args) const {
  Arrays out(args.size());
  if (ct[0].null()) return out;
  int64_t at = 0;
  size_t want = 0;
  for (size_t i = 0; i < x.size() && want < args.size(); ++i) {
    int64_t end = at + x[i].shape()[size_t(axis)];
    if (args[want] == int(i)) {
      Shape start(x[i].shape().size(), 0), stop = ct[0].shape();
      start[size_t(axis)] = at;
      stop[size_t(axis)] = end;
      out[want++] = slice(ct[0], start, stop);
    }
    at = end;
  }
  return out;
}
Mapped Concatenate::vmap(const Arrays& x, std::span<const int> axes) const {
  int64_t batch = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) batch = x[i].shape(axes[i]);
  }
  Arrays parts;
  for (size_t i = 0; i < x.size(); ++i) {
    parts.push_back(axes[i] != kNotMapped
                        ? mapped_first(x[i], axes[i])
                        : broadcast_to(x[i], prepend(batch, x[i].shape())));
  }
  return {{concatenate(parts, axis + 1)}, {0}};
}

array concatenate(const Arrays& x, int axis, StreamOrDevice s) {
  if (x.empty()) invalid("concatenate", "no arrays were given.");
  Concatenate op;
  op.axis = normalize_axis("concatenate", axis, x[0].shape().size());
  Dtype dtype = x[0].dtype();
  for (const array& a : x) dtype = promote_types(dtype, a.dtype());
  if (x.size() == 1) return x[0];
  Arrays in;
  for (const array& a : x) in.push_back(astype(a, dtype, s));
  return record_all(make_op(op), std::move(in), resolve(s))[0];
}

array stack(const Arrays& x, int axis, StreamOrDevice s) {
  if (x.empty()) invalid("stack", "no arrays were given.");
  Arrays in;
  for (const array& a : x) {
    if (a.shape() != x[0].shape()) {
      invalid("stack",
              fmt::format("shapes {} and {} differ.",
                          to_string(x[0].shape()),
                          to_string(a.shape())));
    }
    in.push_back(expand_dims(a, axis, s));
  }
  return concatenate(in, axis < 0 ? axis + in[0].ndim() : axis, s);
}

Arrays split(const array& x,
             const Shape& positions,
             int axis,
             StreamOrDevice s) {
  int ax = normalize_axis("split", axis, x.shape().size());
  Arrays out;
  int64_t from = 0;
  for (size_t i = 0; i <= positions.size(); ++i) {
    int64_t to = i < positions.size() ? positions[i] : x.shape(ax);
    Shape start(x.shape().size(), 0), stop = x.shape();
    start[size_t(ax)] = from;
    stop[size_t(ax)] = to;
    out.push_back(slice(x, start, stop, {}, s));
    from = to;
  }
  return out;
}

Arrays split(const array& x, int parts, int axis, StreamOrDevice s) {
  int ax = normalize_axis("split", axis, x.shape().size());
  if (parts < 1 || x.shape(ax) % parts != 0) {
    invalid("split",
            fmt::format("axis {} of shape {} does not divide into {} "
                        "equal parts.",
                        ax,
                        to_string(x.shape()),
                        parts));
  }
  Shape positions;
  for (int i = 1; i < parts; ++i) positions.push_back(x.shape(ax) / parts * i);
  return split(x, positions, ax, s);
}

}  // namespace treadle
