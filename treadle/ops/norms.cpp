#include "treadle/ops/norms.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

Dtype working(Dtype t) { return is_half(t) ? float32 : t; }

Axes all_but_last(const array& x) {
  Axes axes;
  for (int i = 0; i + 1 < x.ndim(); ++i) axes.push_back(i);
  return axes;
}

array row_mean(const array& x) { return mean(x, -1, true); }

// What weight and bias get: a sum over all rows.
array over_rows(const array& x) {
  Axes axes = all_but_last(x);
  return axes.empty() ? x : sum(x, axes);
}

bool only_first(std::span<const int> axes) {
  for (size_t i = 1; i < axes.size(); ++i) {
    if (axes[i] != kNotMapped) return false;
  }
  return true;
}

// Leading axes are rows already; parameters of one's own need the long way.
template <class T>
Mapped map_rows(const T& op, const Arrays& x, std::span<const int> axes) {
  if (!only_first(axes)) return vmap_by_expansion(op, x, axes);
  Arrays in = x;
  in[0] = moveaxis(x[0], axes[0], 0);
  return {record_all(make_op(T(op)), in, resolve({})), {0}};
}

}  // namespace

Arrays RmsNorm::expand(const Arrays& x) const {
  array v = astype(x[0], working(x[0].dtype()));
  array y = v * rsqrt(row_mean(square(v)) + eps);
  if (has_weight) y = y * astype(x[1], v.dtype());
  return {astype(y, x[0].dtype())};
}

// With r = 1 / sqrt(mean(x^2) + eps) and u = ct w:
//   dx = r (u - x r^2 mean(u x)),  dw = sum over rows of ct x r.
Arrays RmsNorm::vjp(const Arrays& x,
                    const Arrays&,
                    const Arrays& ct,
                    Argnums args) const {
  Arrays out(args.size());
  if (ct[0].null()) return out;
  const Dtype dtype = x[0].dtype();
  array v = astype(x[0], working(dtype)), g = astype(ct[0], v.dtype());
  array r = rsqrt(row_mean(square(v)) + eps);
  array n = v * r;
  for (size_t i = 0; i < args.size(); ++i) {
    array d;
    if (args[i] == 0) {
      array u = has_weight ? g * astype(x[1], v.dtype()) : g;
      d = r * (u - n * row_mean(u * n));
    } else {
      d = over_rows(g * n);
    }
    out[i] = astype(d, dtype);
  }
  return out;
}

Mapped RmsNorm::vmap(const Arrays& x, std::span<const int> axes) const {
  return map_rows(*this, x, axes);
}

Arrays LayerNorm::expand(const Arrays& x) const {
  array v = astype(x[0], working(x[0].dtype()));
  array c = v - row_mean(v);
  array y = c * rsqrt(row_mean(square(c)) + eps);
  if (has_weight) y = y * astype(x[1], v.dtype());
  if (has_bias) y = y + astype(x.back(), v.dtype());
  return {astype(y, x[0].dtype())};
}

// With n the normalised x, r = 1 / sqrt(var(x) + eps) and u = ct w:
//   dx = r (u - mean(u) - n mean(u n)),
//   dw = sum over rows of ct n,  db = sum over rows of ct.
Arrays LayerNorm::vjp(const Arrays& x,
                      const Arrays&,
                      const Arrays& ct,
                      Argnums args) const {
  Arrays out(args.size());
  if (ct[0].null()) return out;
  const Dtype dtype = x[0].dtype();
  array v = astype(x[0], working(dtype)), g = astype(ct[0], v.dtype());
  array c = v - row_mean(v);
  array r = rsqrt(row_mean(square(c)) + eps);
  array n = c * r;
  for (size_t i = 0; i < args.size(); ++i) {
    array d;
    if (args[i] == 0) {
      array u = has_weight ? g * astype(x[1], v.dtype()) : g;
      d = r * (u - row_mean(u) - n * row_mean(u * n));
    } else if (args[i] == 1 && has_weight) {
      d = over_rows(g * n);
    } else {
      d = over_rows(g);
    }
    out[i] = astype(d, dtype);
  }
  return out;
}

Mapped LayerNorm::vmap(const Arrays& x, std::span<const int> axes) const {
  return map_rows(*this, x, axes);
}

namespace fast {

namespace {

void check_input(std::string_view op, const array& x) {
  if (x.ndim() > 0) return;
  invalid(op,
          fmt::format("the input is {}; expected at least one axis.",
                      to_string(x.spec())));
}

void check_parameter(std::string_view op,
                     std::string_view what,
                     const array& p,
                     const array& x) {
  if (p.null() || p.shape() == Shape{x.shape(-1)}) return;
  invalid(op,
          fmt::format("the {} is {}; expected one number for each element of "
                      "the last axis of the input, {}.",
                      what,
                      to_string(p.spec()),
                      to_string(Shape{x.shape(-1)})));
}

void check_dtype(std::string_view op, Dtype t) {
  if (is_floating(t)) return;
  invalid(op,
          fmt::format("the result would be {}; expected a floating dtype.",
                      name_of(t)));
}

}  // namespace

array rms_norm(const array& x,
               const array& weight,
               double eps,
               StreamOrDevice s) {
  check_input("rms_norm", x);
  check_parameter("rms_norm", "weight", weight, x);
  RmsNorm op;
  op.eps = eps;
  op.has_weight = !weight.null();
  Dtype dtype = x.dtype();
  if (op.has_weight) dtype = promote_types(dtype, weight.dtype());
  check_dtype("rms_norm", dtype);
  if (x.size() == 0) return astype(x, dtype, s);
  Arrays in{astype(x, dtype, s)};
  if (op.has_weight) in.push_back(astype(weight, dtype, s));
  return record(make_op(op), in, resolve(s));
}

array layer_norm(const array& x,
                 const array& weight,
                 const array& bias,
                 double eps,
                 StreamOrDevice s) {
  check_input("layer_norm", x);
  check_parameter("layer_norm", "weight", weight, x);
  check_parameter("layer_norm", "bias", bias, x);
  LayerNorm op;
  op.eps = eps;
  op.has_weight = !weight.null();
  op.has_bias = !bias.null();
  Dtype dtype = x.dtype();
  if (op.has_weight) dtype = promote_types(dtype, weight.dtype());
  if (op.has_weight && op.has_bias) dtype = promote_types(dtype, bias.dtype());
  check_dtype("layer_norm", dtype);
  if (x.size() == 0) return astype(x, dtype, s);
  Arrays in{astype(x, dtype, s)};
  if (op.has_weight) in.push_back(astype(weight, dtype, s));
  if (op.has_bias) in.push_back(astype(bias, dtype, s));
  return record(make_op(op), in, resolve(s));
}

}  // namespace fast
}  // namespace treadle
