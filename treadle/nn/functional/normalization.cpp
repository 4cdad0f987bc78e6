#include "treadle/nn/functional/normalization.h"

#include <algorithm>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

namespace {

void check(const array& x) {
  if (x.ndim() < 2 || x.ndim() > 4) {
    invalid("batch_norm",
            fmt::format("the input is {}; expected 2, 3 or 4 dimensions.",
                        to_string(x.spec())));
  }
}

Axes all_but_last(const array& x) {
  Axes axes;
  for (int i = 0; i + 1 < x.ndim(); ++i) axes.push_back(i);
  return axes;
}

// The mean of (x - m)^2 over `axes`, m the mean of x. Its derivative by m is
// zero everywhere, which the expansion's own rule could only find out by adding
// up.
struct Variance : Composite<Variance> {
  static constexpr std::string_view op_name = "variance";
  Axes axes;

  auto fields() const { return std::tie(axes); }
  Specs infer(std::span<const Spec> in) const override {
    Shape shape;
    for (int i = 0; i < int(in[0].shape.size()); ++i) {
      if (std::find(axes.begin(), axes.end(), i) == axes.end()) {
        shape.push_back(in[0].shape[size_t(i)]);
      }
    }
    return {Spec{shape, at_least_float(in[0].dtype)}};
  }
  Arrays expand(const Arrays& x) const override {
    return {mean(square(x[0] - mean(x[0], axes, true)), axes)};
  }
  Arrays vjp(const Arrays& x,
             const Arrays&,
             const Arrays& ct,
             Argnums) const override {
    if (ct[0].null()) return {array()};
    double n = 1;
    for (int a : axes) n *= double(x[0].shape(a));
    array by_row = expand_dims(ct[0], axes) * (2 / n);
    return {(x[0] - mean(x[0], axes, true)) * by_row};
  }
};

array variance(const array& x, const Axes& axes) {
  Variance op;
  op.axes = axes;
  return record(std::move(op), {x}, resolve({}));
}

array scaled(const array& centred,
             const array& var,
             const array& weight,
             const array& bias,
             double eps) {
  array y = centred * rsqrt(var + eps);
  if (!weight.null()) y = y * weight;
  return bias.null() ? y : y + bias;
}

}  // namespace

BatchNormed batch_norm(const array& x,
                       const array& weight,
                       const array& bias,
                       const array& running_mean,
                       const array& running_var,
                       double momentum,
                       double eps) {
  check(x);
  Axes axes = all_but_last(x);
  double n = double(x.size()) / double(std::max<int64_t>(x.shape(-1), 1));
  if (n <= 1) {
    invalid("batch_norm",
            fmt::format("the input is {}: one value for each channel has no "
                        "variance; expected more while training.",
                        to_string(x.spec())));
  }
  array wide_mu = mean(x, axes, true), mu = squeeze(wide_mu, axes);
  array var = variance(x, axes);
  BatchNormed out{scaled(x - wide_mu, var, weight, bias, eps), {}, {}};
  if (running_mean.null()) return out;
  out.running_mean = (1 - momentum) * running_mean + momentum * mu;
  out.running_var =
      (1 - momentum) * running_var + momentum * (n / (n - 1)) * var;
  return out;
}

array batch_norm_with(const array& x,
                      const array& weight,
                      const array& bias,
                      const array& given_mean,
                      const array& given_var,
                      double eps) {
  check(x);
  Axes axes = all_but_last(x);
  array centred = x - (given_mean.null() ? mean(x, axes) : given_mean);
  return scaled(centred,
                given_var.null() ? mean(square(centred), axes) : given_var,
                weight,
                bias,
                eps);
}

namespace {

array normalised(const array& x, const Axes& axes, double eps) {
  array centred = x - mean(x, axes, true);
  return centred * rsqrt(mean(square(centred), axes, true) + eps);
}

array affine(array y, const array& weight, const array& bias) {
  if (!weight.null()) y = y * weight;
  return bias.null() ? y : y + bias;
}

}  // namespace

array group_norm(const array& x,
                 int groups,
                 const array& weight,
                 const array& bias,
                 double eps,
                 bool pytorch_compatible) {
  if (x.ndim() < 2 || groups <= 0 || x.shape(-1) % groups != 0) {
    invalid("group_norm",
            fmt::format("the input is {}; expected (N, ..., C) with C "
                        "divisible by {} groups.",
                        to_string(x.spec()),
                        groups));
  }
  const int64_t size = x.shape(-1) / groups;
  array y = pytorch_compatible ? reshape(x, {x.shape(0), -1, groups, size})
                               : reshape(x, {x.shape(0), -1, size, groups});
  y = normalised(y, pytorch_compatible ? Axes{1, 3} : Axes{1, 2}, eps);
  return affine(reshape(y, x.shape()), weight, bias);
}

array instance_norm(const array& x,
                    const array& weight,
                    const array& bias,
                    double eps) {
  if (x.ndim() < 3) {
    invalid("instance_norm",
            fmt::format("the input is {}; expected at least 3 axes, (N, ..., "
                        "C).",
                        to_string(x.spec())));
  }
  Axes space;
  for (int i = 1; i + 1 < x.ndim(); ++i) space.push_back(i);
  return affine(normalised(x, space, eps), weight, bias);
}

}  // namespace treadle::nn
