#include "treadle/nn/functional/normalization.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
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
  array mu = mean(x, axes);
  array centred = x - mu;
  array var = mean(square(centred), axes);
  BatchNormed out{scaled(centred, var, weight, bias, eps), {}, {}};
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
