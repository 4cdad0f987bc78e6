#include "treadle/nn/functional/normalization.h"

#include <algorithm>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/moments.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

namespace {

// Numbers for each channel would stretch an input with one.
void check(const array& x, std::initializer_list<array> of_channels) {
  if (x.ndim() < 2 || x.ndim() > 4) {
    invalid("batch_norm",
            fmt::format("the input is {}; expected 2, 3 or 4 dimensions.",
                        to_string(x.spec())));
  }
  for (const array& a : of_channels) {
    if (a.null() || a.shape() == Shape{x.shape(-1)}) continue;
    invalid("batch_norm",
            fmt::format("the input is {} and what is given for its channels "
                        "{}; expected ({},), channels are the last axis.",
                        to_string(x.spec()),
                        to_string(a.spec()),
                        x.shape(-1)));
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

// (x - mean) / sqrt(var + eps) weight + bias of the statistics m over `axes`.
array affine(const array& x,
             const Arrays& m,
             const Axes& axes,
             const array& weight,
             const array& bias,
             double eps) {
  array scale = rsqrt(m[1] + eps);
  Dtype dtype = x.dtype();
  if (!weight.null()) {
    scale = scale * weight;
    dtype = promote_types(dtype, weight.dtype());
  }
  if (!bias.null()) dtype = promote_types(dtype, bias.dtype());
  return normalized(x, m[0], scale, bias, axes, dtype);
}

}  // namespace

BatchNormed batch_norm(const array& x,
                       const array& weight,
                       const array& bias,
                       const array& running_mean,
                       const array& running_var,
                       double momentum,
                       double eps) {
  check(x, {weight, bias, running_mean, running_var});
  Axes axes = all_but_last(x);
  double n = double(x.size()) / double(std::max<int64_t>(x.shape(-1), 1));
  if (n <= 1) {
    invalid("batch_norm",
            fmt::format("the input is {}: one value for each channel has no "
                        "variance; expected more while training.",
                        to_string(x.spec())));
  }
  const array v = astype(x, at_least_float(x.dtype()));
  const Arrays m = moments(v, axes);
  BatchNormed out{affine(v, m, axes, weight, bias, eps), {}, {}};
  if (running_mean.null()) return out;
  const array mu = astype(squeeze(m[0], axes), v.dtype());
  const array var = astype(squeeze(m[1], axes), v.dtype());
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
  check(x, {weight, bias, given_mean, given_var});
  Axes axes = all_but_last(x);
  array centred = x - (given_mean.null() ? mean(x, axes) : given_mean);
  return scaled(centred,
                given_var.null() ? mean(square(centred), axes) : given_var,
                weight,
                bias,
                eps);
}

namespace {

// Statistics (N, 1..., C) of channels as those of the groups they belong to,
// which all have as many.
Arrays of_groups(const Arrays& channels, int axis, const Shape& by_group) {
  const Shape& shape = channels[0].shape();
  const array each = reshape(channels[0], by_group);
  const array mu = mean(each, axis, true);
  const array var =
      mean(reshape(channels[1], by_group) + square(each - mu), axis, true);
  auto spread = [&](const array& a) {
    return reshape(broadcast_to(a, by_group), shape);
  };
  return {spread(mu), spread(var)};
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
  const Axes space{1};
  const array v = reshape(astype(x, at_least_float(x.dtype())),
                          {x.shape(0), -1, x.shape(-1)});
  const Arrays m =
      pytorch_compatible
          ? of_groups(moments(v, space), 2, {x.shape(0), groups, size})
          : of_groups(moments(v, space), 1, {x.shape(0), size, groups});
  return reshape(affine(v, m, space, weight, bias, eps), x.shape());
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
  const array v = astype(x, at_least_float(x.dtype()));
  return affine(v, moments(v, space), space, weight, bias, eps);
}

}  // namespace treadle::nn
