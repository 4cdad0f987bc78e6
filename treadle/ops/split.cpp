#include "treadle/ops/split.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/views.h"
#include "treadle/ops/views_rules.h"

namespace treadle {

namespace {

// Where part i begins; that of the part behind the last is the end.
int64_t begin_of(const Split& op, size_t i, int64_t length) {
  if (i == 0) return 0;
  return i <= op.positions.size() ? op.positions[i - 1] : length;
}

}  // namespace

Specs Split::infer(std::span<const Spec> in) const {
  const int64_t n = in[0].shape[size_t(axis)];
  Specs out(positions.size() + 1, in[0]);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i].shape[size_t(axis)] =
        begin_of(*this, i + 1, n) - begin_of(*this, i, n);
  }
  return out;
}

Arrays Split::expand(const Arrays& x) const {
  const Shape& shape = x[0].shape();
  const int64_t n = shape[size_t(axis)];
  Arrays out;
  for (size_t i = 0; i <= positions.size(); ++i) {
    Slice part;
    part.start = Shape(shape.size(), 0);
    part.stop = shape;
    part.step = Shape(shape.size(), 1);
    part.start[size_t(axis)] = begin_of(*this, i, n);
    part.stop[size_t(axis)] = begin_of(*this, i + 1, n);
    out.push_back(record(std::move(part), {x[0]}, resolve({})));
  }
  return out;
}

Arrays Split::jvp(const Arrays&,
                  const Arrays& y,
                  const Arrays& t,
                  Argnums) const {
  if (t[0].null()) return Arrays(y.size());
  return record_all(make_op(*this), {t[0]}, resolve({}));
}

Arrays Split::vjp(const Arrays&,
                  const Arrays& y,
                  const Arrays& ct,
                  Argnums) const {
  Arrays parts;
  bool any = false;
  for (size_t i = 0; i < y.size(); ++i) {
    any = any || !ct[i].null();
    parts.push_back(ct[i].null() ? zeros_like(y[i]) : ct[i]);
  }
  if (!any) return {array()};
  return {concatenate(parts, axis)};
}

Mapped Split::vmap(const Arrays& x, std::span<const int> axes) const {
  Split op = *this;
  ++op.axis;
  Arrays out = record_all(
      make_op(std::move(op)), {mapped_first(x[0], axes[0])}, resolve({}));
  const std::vector<int> front(out.size(), 0);
  return {std::move(out), front};
}

Arrays split(const array& x,
             const Shape& positions,
             int axis,
             StreamOrDevice s) {
  Split op;
  op.axis = normalize_axis("split", axis, x.shape().size());
  const int64_t n = x.shape(op.axis);
  // Python's rules: negative positions count from the end, all are clamped.
  for (int64_t p : positions)
    op.positions.push_back(std::clamp<int64_t>(p < 0 ? p + n : p, 0, n));
  if (positions.empty()) return {x};
  if (std::is_sorted(op.positions.begin(), op.positions.end()))
    return record_all(make_op(std::move(op)), {x}, resolve(s));
  // Parts that overlap, or that are empty.
  Arrays out;
  for (size_t i = 0; i <= positions.size(); ++i) {
    Shape start(x.shape().size(), 0), stop = x.shape();
    start[size_t(op.axis)] = begin_of(op, i, n);
    stop[size_t(op.axis)] = begin_of(op, i + 1, n);
    out.push_back(slice(x, start, stop, {}, s));
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
