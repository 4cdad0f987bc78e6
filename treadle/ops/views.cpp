// Views that keep all elements: reshapes, broadcasts, permuted axes.
#include "treadle/ops/views.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views_rules.h"

namespace treadle {

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

}  // namespace treadle
