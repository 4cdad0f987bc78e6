#include "treadle/ops/index.h"

#include <type_traits>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/other_updates.h"
#include "treadle/ops/views.h"

namespace treadle {

std::string_view name_of(ScatterMode mode) {
  constexpr std::string_view names[] = {
      "assign", "add", "multiply", "maximum", "minimum"};
  return names[static_cast<int>(mode)];
}

namespace {

array recorded(auto op, std::initializer_list<array> inputs) {
  return record(std::move(op), inputs, resolve({}));
}

// x's shape with `axis` replaced by the axes of `indices`.
Shape taken_shape(const Shape& x, int axis, const Shape& indices) {
  Shape out(x.begin(), x.begin() + axis);
  out.append(indices.begin(), indices.end());
  out.append(x.begin() + axis + 1, x.end());
  return out;
}

void check_indices(std::string_view op,
                   const Spec& x,
                   int axis,
                   const Spec& indices) {
  if (!is_integer(indices.dtype)) {
    invalid(op,
            fmt::format("indices are {}; expected an integer dtype.",
                        name_of(indices.dtype)));
  }
  if (x.shape[size_t(axis)] == 0 && size_of(indices.shape) > 0) {
    invalid(
        op,
        fmt::format("axis {} of x {} is empty: there is nothing to take for "
                    "indices of shape {}.",
                    axis,
                    to_string(x),
                    to_string(indices.shape)));
  }
}

// All axes equal but one.
void check_along(std::string_view op,
                 const Spec& x,
                 int axis,
                 const Spec& indices) {
  bool fits = x.shape.size() == indices.shape.size();
  for (size_t i = 0; fits && i < x.shape.size(); ++i) {
    fits = int(i) == axis || x.shape[i] == indices.shape[i];
  }
  if (!fits) {
    invalid(op,
            fmt::format("x {} and indices {} differ beyond axis {}.",
                        to_string(x),
                        to_string(indices),
                        axis));
  }
  check_indices(op, x, axis, indices);
}

void check_updates(std::string_view op,
                   const Spec& x,
                   const Spec& updates,
                   const Shape& shape) {
  if (updates != Spec{shape, x.dtype}) {
    invalid(op,
            fmt::format("updates are {}; expected {}.",
                        to_string(updates),
                        to_string(Spec{shape, x.dtype})));
  }
}

// The mapped axis in front, or a new one stretched to `batch`.
array batched(const array& x, int axis, int64_t batch) {
  if (axis != kNotMapped) return moveaxis(x, axis, 0);
  Shape shape{batch};
  shape.append(x.shape().begin(), x.shape().end());
  return broadcast_to(x, shape);
}

int64_t batch_size(const Arrays& x, std::span<const int> axes) {
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) return x[i].shape(axes[i]);
  }
  return 0;
}

bool linear(ScatterMode mode) {
  return mode == ScatterMode::assign || mode == ScatterMode::add;
}

// Where an update is the one that stays when its element is assigned to several
// times: write each update's number, read back which one is there.
template <class Put, class Get>
array winners(const array& indices,
              const Shape& destination,
              Put put,
              Get get) {
  array number = reshape(arange(indices.size()), indices.shape());
  array there = put(zeros(destination, number.dtype()), indices, number);
  return equal(get(there, indices), number);
}

}  // namespace

// take ----------------------------------------------------------------------

Specs Take::infer(std::span<const Spec> in) const {
  check_indices(op_name, in[0], axis, in[1]);
  return {Spec{taken_shape(in[0].shape, axis, in[1].shape), in[0].dtype}};
}

Arrays Take::jvp(const Arrays& x,
                 const Arrays&,
                 const Arrays& t,
                 Argnums args) const {
  if (args[0] != 0 || t[0].null()) return {array()};
  return {recorded(*this, {t[0], x[1]})};
}

Arrays Take::vjp(const Arrays& x,
                 const Arrays&,
                 const Arrays& ct,
                 Argnums args) const {
  Arrays out(args.size());
  if (ct[0].null() || args[0] != 0 || !is_inexact(x[0].dtype())) return out;
  Scatter op;
  op.axis = axis;
  op.mode = ScatterMode::add;
  out[0] = recorded(op, {zeros_like(x[0]), x[1], ct[0]});
  return out;
}

namespace {

// x (B, N, Q...) as (B N, Q...), and indices (B, I...) into that.
array joined_rows(const array& x) { return flatten(x, 0, 1); }
array joined_indices(const array& indices, int64_t length) {
  array i = astype(indices, int64);
  i = select(less(i, 0), i + length, i);
  Shape shape(size_t(i.ndim()), 1);
  shape[0] = i.shape(0);
  return i + reshape(multiply(arange(i.shape(0), int64), length), shape);
}

// (A0, A1, ...) with `count` axes from `from` on moved to `to`.
array move_axes(const array& x, int from, int count, int to) {
  Axes rest, axes;
  for (int i = 0; i < x.ndim(); ++i) {
    if (i < from || i >= from + count) rest.push_back(i);
  }
  axes.append(rest.begin(), rest.begin() + to);
  for (int i = 0; i < count; ++i) axes.push_back(from + i);
  axes.append(rest.begin() + to, rest.end());
  return transpose(x, axes);
}

}  // namespace

Mapped Take::vmap(const Arrays& x, std::span<const int> axes) const {
  if (axes[1] == kNotMapped) {
    Take op;
    op.axis = axis + 1;
    return {{recorded(op, {moveaxis(x[0], axes[0], 0), x[1]})}, {0}};
  }
  if (axes[0] == kNotMapped) {
    return {{recorded(*this, {x[0], moveaxis(x[1], axes[1], 0)})}, {axis}};
  }
  // (B, P..., N, Q...) -> (B, N, P..., Q...) -> (B N, P..., Q...)
  array v = moveaxis(moveaxis(x[0], axes[0], 0), axis + 1, 1);
  array i = joined_indices(moveaxis(x[1], axes[1], 0), v.shape(1));
  Take op;
  array y = recorded(op, {joined_rows(v), i});  // (B, I..., P..., Q...)
  return {{move_axes(y, 1, i.ndim() - 1, axis + 1)}, {0}};
}

array take(const array& x, const array& indices, int axis, StreamOrDevice s) {
  Take op;
  op.axis = normalize_axis("take", axis, x.shape().size());
  return record(op, {x, indices}, resolve(s));
}

array take(const array& x, const array& indices, StreamOrDevice s) {
  return take(reshape(x, {-1}, s), indices, 0, s);
}

// take_along_axis -----------------------------------------------------------

Specs TakeAlongAxis::infer(std::span<const Spec> in) const {
  check_along(op_name, in[0], axis, in[1]);
  return {Spec{in[1].shape, in[0].dtype}};
}

Arrays TakeAlongAxis::jvp(const Arrays& x,
                          const Arrays&,
                          const Arrays& t,
                          Argnums args) const {
  if (args[0] != 0 || t[0].null()) return {array()};
  return {recorded(*this, {t[0], x[1]})};
}

Arrays TakeAlongAxis::vjp(const Arrays& x,
                          const Arrays&,
                          const Arrays& ct,
                          Argnums args) const {
  Arrays out(args.size());
  if (ct[0].null() || args[0] != 0 || !is_inexact(x[0].dtype())) return out;
  ScatterAlongAxis op;
  op.axis = axis;
  op.mode = ScatterMode::add;
  out[0] = recorded(op, {zeros_like(x[0]), x[1], ct[0]});
  return out;
}

Mapped TakeAlongAxis::vmap(const Arrays& x, std::span<const int> axes) const {
  int64_t batch = batch_size(x, axes);
  TakeAlongAxis op;
  op.axis = axis + 1;
  return {
      {recorded(
          op, {batched(x[0], axes[0], batch), batched(x[1], axes[1], batch)})},
      {0}};
}

namespace {

// x and indices stretched to each other, except along the axis.
void meet_along(
    std::string_view op, int axis, array& x, array& indices, StreamOrDevice s) {
  if (x.ndim() != indices.ndim()) {
    invalid(op,
            fmt::format("x {} and indices {} need as many axes.",
                        to_string(x.spec()),
                        to_string(indices.spec())));
  }
  Shape a = x.shape(), b = indices.shape();
  size_t i = size_t(axis);
  a[i] = b[i] = 1;
  Shape common = broadcast_shapes(op, a, b);
  a = common;
  a[i] = x.shape()[i];
  common[i] = indices.shape()[i];
  x = broadcast_to(x, a, s);
  indices = broadcast_to(indices, common, s);
}

}  // namespace

array take_along_axis(const array& x,
                      const array& indices,
                      int axis,
                      StreamOrDevice s) {
  TakeAlongAxis op;
  op.axis = normalize_axis("take_along_axis", axis, x.shape().size());
  array v = x, i = indices;
  meet_along("take_along_axis", op.axis, v, i, s);
  return record(op, {v, i}, resolve(s));
}

// scatter -------------------------------------------------------------------

Specs Scatter::infer(std::span<const Spec> in) const {
  check_indices(op_name, in[0], axis, in[1]);
  check_updates(
      op_name, in[0], in[2], taken_shape(in[0].shape, axis, in[1].shape));
  return {in[0]};
}

namespace {

// What a scatter is the reverse of, at the same indices.
array read(const Scatter& op, const array& x, const array& indices) {
  Take take;
  take.axis = op.axis;
  return recorded(take, {x, indices});
}
array read(const ScatterAlongAxis& op, const array& x, const array& indices) {
  TakeAlongAxis take;
  take.axis = op.axis;
  return recorded(take, {x, indices});
}

// The derivative of a scatter that is not linear:
//   dy = x_slope dx + scatter_add(update_slope du),
// where a slope is a factor or, as bools, says who passes.
struct Slopes {
  array x, updates;
};

array times(const array& v, const array& slope) {
  return slope.dtype() == bool_ ? select(slope, v, 0) : multiply(v, slope);
}
array times_conjugate(const array& v, const array& slope) {
  return times(v, is_complex(slope.dtype()) ? conjugate(slope) : slope);
}

// in: x, indices, updates; y: the result.
template <class T>
Slopes slopes(const T& op, const Arrays& in, const array& y) {
  const array &x = in[0], &u = in[2];
  auto put = [&](const array& to, const array& v, ScatterMode mode) {
    T put = op;
    put.mode = mode;
    return recorded(put, {to, in[1], v});
  };
  auto get = [&](const array& from) { return read(op, from, in[1]); };
  if (op.mode == ScatterMode::multiply) {
    OtherUpdates product;
    product.axis = op.axis;
    product.along = std::is_same_v<T, ScatterAlongAxis>;
    const array others = recorded(product, {x, in[1], u});
    return {put(ones_like(x), u, ScatterMode::multiply),
            multiply(get(x), others)};
  }
  // The last of the updates that equal the result wins, and x if there is none,
  // as in maximum(x, update) one after another.
  const Dtype dtype = u.size() > INT32_MAX ? int64 : int32;
  array number = reshape(arange(double(u.size()), dtype), u.shape());
  array mine = equal(u, get(y));
  array last = put(full(x.shape(), -1, dtype),
                   select(mine, number, -1),
                   ScatterMode::maximum);
  return {less(last, 0), logical_and(mine, equal(get(last), number))};
}

// assign and add are linear in x and updates together.
template <class T>
Arrays scatter_jvp(const T& op,
                   const Arrays& x,
                   const array& y,
                   const Arrays& t,
                   Argnums args) {
  array tx, tu;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == 0) tx = t[i];
    if (args[i] == 2) tu = t[i];
  }
  if (tx.null() && tu.null()) return {array()};
  T sum = op;
  if (!linear(op.mode)) {
    const Slopes slope = slopes(op, x, y);
    sum.mode = ScatterMode::add;
    if (!tx.null()) tx = times(tx, slope.x);
    if (!tu.null()) tu = times(tu, slope.updates);
  }
  if (tx.null()) tx = zeros_like(x[0]);
  if (tu.null()) tu = zeros_like(x[2]);
  return {recorded(sum, {tx, x[1], tu})};
}

// The cotangents of inputs 0 and 2 with a mode that is not linear.
template <class T>
Arrays curved_vjp(const T& op,
                  const Arrays& x,
                  const array& y,
                  const array& ct,
                  Argnums args) {
  const Slopes slope = slopes(op, x, y);
  Arrays out(args.size());
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == 0) out[i] = times_conjugate(ct, slope.x);
    if (args[i] == 2) {
      out[i] = times_conjugate(read(op, ct, x[1]), slope.updates);
    }
  }
  return out;
}

// won(): which of the updates stay when several are assigned to an element.
template <class T, class Won>
Arrays scatter_vjp(const T& op,
                   const Arrays& x,
                   const array& y,
                   const array& ct,
                   Argnums args,
                   const Won& won) {
  Arrays out(args.size());
  if (ct.null() || !is_inexact(x[0].dtype())) return out;
  if (!linear(op.mode)) return curved_vjp(op, x, y, ct, args);
  const bool assigns = op.mode == ScatterMode::assign;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == 0) {
      out[i] = assigns ? recorded(op, {ct, x[1], zeros_like(x[2])}) : ct;
    } else if (args[i] == 2) {
      out[i] = read(op, ct, x[1]);
      if (assigns) out[i] = select(won(), out[i], 0);
    }
  }
  return out;
}

}  // namespace

Arrays Scatter::jvp(const Arrays& x,
                    const Arrays& y,
                    const Arrays& t,
                    Argnums args) const {
  return scatter_jvp(*this, x, y[0], t, args);
}

Arrays Scatter::vjp(const Arrays& x,
                    const Arrays& y,
                    const Arrays& ct,
                    Argnums args) const {
  return scatter_vjp(*this, x, y[0], ct[0], args, [&] {
    array won = winners(
        x[1],
        {x[0].shape(axis)},
        [](const array& v, const array& at, const array& u) {
          return scatter(v, at, u, 0);
        },
        [](const array& v, const array& at) { return take(v, at, 0); });
    Shape shape = x[1].shape();  // as (I..., 1...) beside (P..., I..., Q...)
    for (int k = axis + 1; k < x[0].ndim(); ++k) shape.push_back(1);
    return reshape(won, shape);
  });
}

Mapped Scatter::vmap(const Arrays& x, std::span<const int> axes) const {
  int64_t batch = batch_size(x, axes);
  array v = batched(x[0], axes[0], batch), u = batched(x[2], axes[2], batch);
  Scatter op = *this;
  op.axis = axis + 1;
  if (axes[1] == kNotMapped) return {{recorded(op, {v, x[1], u})}, {0}};
  // (B, P..., N, Q...) -> (B N, P..., Q...), updates (B, I..., P..., Q...)
  v = moveaxis(v, axis + 1, 1);
  array i = joined_indices(moveaxis(x[1], axes[1], 0), v.shape(1));
  u = move_axes(u, axis + 1, i.ndim() - 1, 1);
  op.axis = 0;
  array y = reshape(recorded(op, {joined_rows(v), i, u}), v.shape());
  return {{moveaxis(y, 1, axis + 1)}, {0}};
}

array scatter(const array& x,
              const array& indices,
              const array& updates,
              int axis,
              ScatterMode mode,
              StreamOrDevice s) {
  Scatter op;
  op.axis = normalize_axis("scatter", axis, x.shape().size());
  op.mode = mode;
  Shape want = taken_shape(x.shape(), op.axis, indices.shape());
  if (broadcast_shapes("scatter", updates.shape(), want) != want) {
    invalid("scatter",
            fmt::format("updates {} do not fit the slices of shape {}.",
                        to_string(updates.spec()),
                        to_string(want)));
  }
  array u = broadcast_to(astype(updates, x.dtype(), s), want, s);
  return record(op, {x, indices, u}, resolve(s));
}

// scatter_along_axis --------------------------------------------------------

Specs ScatterAlongAxis::infer(std::span<const Spec> in) const {
  check_along(op_name, in[0], axis, in[1]);
  check_updates(op_name, in[0], in[2], in[1].shape);
  return {in[0]};
}

Arrays ScatterAlongAxis::jvp(const Arrays& x,
                             const Arrays& y,
                             const Arrays& t,
                             Argnums args) const {
  return scatter_jvp(*this, x, y[0], t, args);
}

Arrays ScatterAlongAxis::vjp(const Arrays& x,
                             const Arrays& y,
                             const Arrays& ct,
                             Argnums args) const {
  return scatter_vjp(*this, x, y[0], ct[0], args, [&] {
    return winners(
        x[1],
        x[0].shape(),
        [this](const array& v, const array& at, const array& u) {
          return scatter_along_axis(v, at, u, axis);
        },
        [this](const array& v, const array& at) {
          return take_along_axis(v, at, axis);
        });
  });
}

Mapped ScatterAlongAxis::vmap(const Arrays& x,
                              std::span<const int> axes) const {
  int64_t batch = batch_size(x, axes);
  ScatterAlongAxis op = *this;
  op.axis = axis + 1;
  return {{recorded(op,
                    {batched(x[0], axes[0], batch),
                     batched(x[1], axes[1], batch),
                     batched(x[2], axes[2], batch)})},
          {0}};
}

array scatter_along_axis(const array& x,
                         const array& indices,
                         const array& updates,
                         int axis,
                         ScatterMode mode,
                         StreamOrDevice s) {
  ScatterAlongAxis op;
  op.axis = normalize_axis(op.op_name, axis, x.shape().size());
  op.mode = mode;
  array v = x, i = indices;
  meet_along(op.op_name, op.axis, v, i, s);
  if (v.shape() != x.shape()) {
    invalid(op.op_name,
            fmt::format("indices {} do not fit x {}.",
                        to_string(indices.spec()),
                        to_string(x.spec())));
  }
  array u = broadcast_to(astype(updates, x.dtype(), s), i.shape(), s);
  return record(op, {v, i, u}, resolve(s));
}

array put_along_axis(const array& x,
                     const array& indices,
                     const array& values,
                     int axis,
                     StreamOrDevice s) {
  return scatter_along_axis(x, indices, values, axis, ScatterMode::assign, s);
}

}  // namespace treadle
