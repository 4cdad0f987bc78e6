#include "treadle/ops/pool.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

Shape spatial_of(const Shape& shape) {
  return Shape(shape.begin() + 1, shape.end() - 1);
}

Shape with_spatial(const Shape& shape, const Shape& spatial) {
  Shape out{shape.front()};
  out.append(spatial.begin(), spatial.end());
  out.push_back(shape.back());
  return out;
}

array mean_grad(const PoolWindows& windows,
                const Shape& spatial,
                const array& ct) {
  MeanPoolGrad op;
  op.windows = windows;
  op.spatial = spatial;
  return record(std::move(op), {ct}, resolve({}));
}

// MaxPoolGrad or MaxPoolPick.
template <class T>
array at_maxima(const PoolWindows& windows,
                const array& x,
                const array& y,
                const array& v) {
  T op;
  op.windows = windows;
  return record(std::move(op), {x, y, v}, resolve({}));
}

// What arrives for argument `arg`, null when it is not asked for.
array entry(const Arrays& t, Argnums args, int arg) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == arg) return t[i];
  }
  return {};
}

// The batch joins N in all inputs, and leaves it in the result.
Mapped map_first_axis(OpPtr op, const Arrays& x, std::span<const int> axes) {
  int64_t batch = 1;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) batch = x[i].shape(axes[i]);
  }
  Arrays in;
  for (size_t i = 0; i < x.size(); ++i) {
    array v;
    if (axes[i] != kNotMapped) {
      v = moveaxis(x[i], axes[i], 0);
    } else {
      Shape shape{batch};
      shape.append(x[i].shape().begin(), x[i].shape().end());
      v = broadcast_to(x[i], shape);
    }
    in.push_back(flatten(v, 0, 1));
  }
  array y = record_all(std::move(op), std::move(in), resolve({}))[0];
  return {{unflatten(y, 0, {batch, -1})}, {0}};
}

}  // namespace

Shape PoolWindows::output(const Shape& input) const {
  Shape out;
  for (size_t i = 0; i < spatial(); ++i) {
    if (shared(i)) {
      if (input[i] < 1) {
        invalid("pool",
                fmt::format("spatial axis {} has no elements; expected at "
                            "least one for its {} windows to share.",
                            i,
                            stride[i]));
      }
      out.push_back(stride[i]);
      continue;
    }
    const int64_t padded = input[i] + low[i] + high[i];
    if (padded < size[i]) {
      invalid("pool",
              fmt::format("the window does not fit along spatial axis {}: it "
                          "has {} elements; the padded input has {}.",
                          i,
                          size[i],
                          padded));
    }
    out.push_back((padded - size[i]) / stride[i] + 1);
  }
  return out;
}

// pool ------------------------------------------------------------------------

Specs Pool::infer(std::span<const Spec> in) const {
  const Shape& x = in[0].shape;
  return {Spec{with_spatial(x, windows.output(spatial_of(x))), in[0].dtype}};
}
Arrays Pool::jvp(const Arrays& x,
                 const Arrays& y,
                 const Arrays& t,
                 Argnums) const {
  if (t[0].null() || !is_inexact(x[0].dtype())) return {array()};
  if (pool == PoolKind::mean) return {record(*this, {t[0]}, resolve({}))};
  return {at_maxima<MaxPoolPick>(windows, x[0], y[0], t[0])};
}
Arrays Pool::vjp(const Arrays& x,
                 const Arrays& y,
                 const Arrays& ct,
                 Argnums) const {
  if (ct[0].null() || !is_inexact(x[0].dtype())) return {array()};
  if (pool == PoolKind::mean) {
    return {mean_grad(windows, spatial_of(x[0].shape()), ct[0])};
  }
  return {at_maxima<MaxPoolGrad>(windows, x[0], y[0], ct[0])};
}
Mapped Pool::vmap(const Arrays& x, std::span<const int> axes) const {
  return map_first_axis(make_op(*this), x, axes);
}

// mean_pool_grad --------------------------------------------------------------

Specs MeanPoolGrad::infer(std::span<const Spec> in) const {
  return {Spec{with_spatial(in[0].shape, spatial), in[0].dtype}};
}
Arrays MeanPoolGrad::jvp(const Arrays&,
                         const Arrays&,
                         const Arrays& t,
                         Argnums) const {
  if (t[0].null()) return {array()};
  return {mean_grad(windows, spatial, t[0])};
}
Arrays MeanPoolGrad::vjp(const Arrays&,
                         const Arrays&,
                         const Arrays& ct,
                         Argnums) const {
  if (ct[0].null()) return {array()};
  Pool op;
  op.pool = PoolKind::mean;
  op.windows = windows;
  return {record(std::move(op), {ct[0]}, resolve({}))};
}
Mapped MeanPoolGrad::vmap(const Arrays& x, std::span<const int> axes) const {
  return map_first_axis(make_op(*this), x, axes);
}

// max_pool_grad, max_pool_pick ------------------------------------------------
// Both are linear in their last input and transposes of each other. Where the
// maxima lie is constant almost everywhere, so x and y get no derivative.

Specs MaxPoolGrad::infer(std::span<const Spec> in) const {
  return {Spec{in[0].shape, in[2].dtype}};
}
Arrays MaxPoolGrad::jvp(const Arrays& x,
                        const Arrays&,
                        const Arrays& t,
                        Argnums args) const {
  array v = entry(t, args, 2);
  if (v.null()) return {array()};
  return {at_maxima<MaxPoolGrad>(windows, x[0], x[1], v)};
}
Arrays MaxPoolGrad::vjp(const Arrays& x,
                        const Arrays&,
                        const Arrays& ct,
                        Argnums args) const {
  Arrays out(args.size());
  if (!ct[0].null() && args.back() == 2) {
    out.back() = at_maxima<MaxPoolPick>(windows, x[0], x[1], ct[0]);
  }
  return out;
}
Mapped MaxPoolGrad::vmap(const Arrays& x, std::span<const int> axes) const {
  return map_first_axis(make_op(*this), x, axes);
}

Specs MaxPoolPick::infer(std::span<const Spec> in) const {
  return {Spec{in[1].shape, in[2].dtype}};
}
Arrays MaxPoolPick::jvp(const Arrays& x,
                        const Arrays&,
                        const Arrays& t,
                        Argnums args) const {
  array v = entry(t, args, 2);
  if (v.null()) return {array()};
  return {at_maxima<MaxPoolPick>(windows, x[0], x[1], v)};
}
Arrays MaxPoolPick::vjp(const Arrays& x,
                        const Arrays&,
                        const Arrays& ct,
                        Argnums args) const {
  Arrays out(args.size());
  if (!ct[0].null() && args.back() == 2) {
    out.back() = at_maxima<MaxPoolGrad>(windows, x[0], x[1], ct[0]);
  }
  return out;
}
Mapped MaxPoolPick::vmap(const Arrays& x, std::span<const int> axes) const {
  return map_first_axis(make_op(*this), x, axes);
}

// functions -------------------------------------------------------------------

namespace {

Shape per_axis(std::string_view op,
               std::string_view what,
               const Shape& given,
               size_t spatial,
               int64_t least) {
  Shape v = given;
  if (v.size() == 1) v.assign(spatial, given[0]);
  bool fits = v.size() == spatial;
  for (int64_t e : v) fits = fits && e >= least;
  if (!fits) {
    invalid(op,
            fmt::format("{} is {}; expected one number, or one for each of "
                        "the {} spatial axes, of at least {}.",
                        what,
                        to_string(given),
                        spatial,
                        least));
  }
  return v;
}

// How many spatial axes x has.
size_t check_input(std::string_view name, const array& x) {
  if (x.ndim() < 3 || x.ndim() > 5) {
    invalid(name,
            fmt::format("the input has {} dimensions: {}; expected 3 to 5: "
                        "(N, ..., C) with 1 to 3 spatial axes.",
                        x.ndim(),
                        to_string(x.spec())));
  }
  if (is_complex(x.dtype())) {
    invalid(name, "complex64 is not taken; expected a real dtype.");
  }
  return size_t(x.ndim() - 2);
}

// Integers have means in float32.
array pool(PoolKind kind,
           PoolWindows windows,
           const array& x,
           StreamOrDevice s) {
  Pool op;
  op.pool = kind;
  op.windows = std::move(windows);
  const Dtype dtype =
      kind == PoolKind::mean ? at_least_float(x.dtype()) : x.dtype();
  return record(std::move(op), {astype(x, dtype, s)}, resolve(s));
}

array fixed_pool(std::string_view name,
                 PoolKind kind,
                 const array& x,
                 const Shape& window,
                 const Shape& stride,
                 const Shape& padding,
                 StreamOrDevice s) {
  const size_t spatial = check_input(name, x);
  PoolWindows w;
  w.size = per_axis(name, "window", window, spatial, 1);
  w.stride =
      stride.empty() ? w.size : per_axis(name, "stride", stride, spatial, 1);
  w.low = padding.empty() ? Shape(spatial, 0)
                          : per_axis(name, "padding", padding, spatial, 0);
  w.high = w.low;
  return pool(kind, std::move(w), x, s);
}

}  // namespace

array max_pool(const array& x,
               const Shape& window,
               const Shape& stride,
               const Shape& padding,
               StreamOrDevice s) {
  return fixed_pool("max_pool", PoolKind::max, x, window, stride, padding, s);
}

array avg_pool(const array& x,
               const Shape& window,
               const Shape& stride,
               const Shape& padding,
               StreamOrDevice s) {
  return fixed_pool("avg_pool", PoolKind::mean, x, window, stride, padding, s);
}

array shared_pool(PoolKind kind,
                  const array& x,
                  const Shape& size,
                  StreamOrDevice s) {
  const size_t spatial = check_input("shared_pool", x);
  PoolWindows w;
  w.stride = per_axis("shared_pool", "size", size, spatial, 1);
  w.size = w.low = w.high = Shape(spatial, 0);
  return pool(kind, std::move(w), x, s);
}

}  // namespace treadle
