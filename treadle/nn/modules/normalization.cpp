#include "treadle/nn/modules/normalization.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/functional/normalization.h"
#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/repr.h"
#include "treadle/ops/create.h"
#include "treadle/ops/norms.h"

namespace treadle::nn {

namespace {

void check_eps(std::string_view op, double eps) {
  if (eps > 0) return;
  invalid(op, fmt::format("eps is {}; expected more than 0.", eps));
}

}  // namespace

BatchNorm::BatchNorm(int num_features,
                     double eps,
                     double momentum,
                     bool affine,
                     bool track_running_stats)
    : num_features_(num_features), eps_(eps), momentum_(momentum) {
  check_eps("BatchNorm", eps);
  Shape shape{num_features};
  if (affine) {
    weight = ones(shape);
    bias = zeros(shape);
  }
  if (track_running_stats) {
    running_mean = zeros(shape);
    running_var = ones(shape);
  }
}

array BatchNorm::operator()(const array& x) const {
  const Call call(*this);
  if (!training()) {
    return call(
        batch_norm_with(x, weight, bias, running_mean, running_var, eps_));
  }
  BatchNormed r =
      batch_norm(x, weight, bias, running_mean, running_var, momentum_, eps_);
  running_mean = r.running_mean;
  running_var = r.running_var;
  return call(r.y);
}

bool BatchNorm::always_frozen(std::string_view key) const {
  return key == "running_mean" || key == "running_var";
}

std::string BatchNorm::extra_repr() const {
  return fmt::format(
      "{}, eps={}, momentum={}, affine={}, track_running_stats={}",
      num_features_,
      python(eps_),
      python(momentum_),
      python(!weight.null()),
      python(!running_mean.null()));
}

LayerNorm::LayerNorm(int dims, double eps, bool affine, bool with_bias)
    : dims_(dims), eps_(eps) {
  check_eps("LayerNorm", eps);
  if (affine) weight = ones({dims});
  if (affine && with_bias) bias = zeros({dims});
}

array LayerNorm::operator()(const array& x) const {
  const Call call(*this);
  return call(fast::layer_norm(x, weight, bias, eps_));
}

std::string LayerNorm::extra_repr() const {
  return fmt::format(
      "{}, eps={}, affine={}", dims_, python(eps_), python(!weight.null()));
}

RMSNorm::RMSNorm(int dims, double eps) : dims_(dims), eps_(eps) {
  check_eps("RMSNorm", eps);
  weight = ones({dims});
}

array RMSNorm::operator()(const array& x) const {
  const Call call(*this);
  return call(fast::rms_norm(x, weight, eps_));
}

std::string RMSNorm::extra_repr() const {
  return fmt::format("{}, eps={}", dims_, python(eps_));
}

GroupNorm::GroupNorm(
    int num_groups, int dims, double eps, bool affine, bool pytorch_compatible)
    : num_groups_(num_groups),
      dims_(dims),
      eps_(eps),
      pytorch_compatible_(pytorch_compatible) {
  check_eps("GroupNorm", eps);
  if (num_groups <= 0 || dims <= 0 || dims % num_groups != 0) {
    invalid("GroupNorm",
            fmt::format("got {} groups of {} features; expected positive "
                        "numbers, the second divisible by the first.",
                        num_groups,
                        dims));
  }
  if (!affine) return;
  bias = zeros({dims});
  weight = ones({dims});
}

array GroupNorm::operator()(const array& x) const {
  const Call call(*this);
  return call(
      group_norm(x, num_groups_, weight, bias, eps_, pytorch_compatible_));
}

std::string GroupNorm::extra_repr() const {
  return fmt::format("{}, {}, eps={}, affine={}, pytorch_compatible={}",
                     num_groups_,
                     dims_,
                     python(eps_),
                     python(!weight.null()),
                     python(pytorch_compatible_));
}

InstanceNorm::InstanceNorm(int dims, double eps, bool affine)
    : dims_(dims), eps_(eps) {
  check_eps("InstanceNorm", eps);
  if (!affine) return;
  weight = ones({dims});
  bias = zeros({dims});
}

array InstanceNorm::operator()(const array& x) const {
  const Call call(*this);
  return call(instance_norm(x, weight, bias, eps_));
}

std::string InstanceNorm::extra_repr() const {
  return fmt::format(
      "{}, eps={}, affine={}", dims_, python(eps_), python(!weight.null()));
}

}  // namespace treadle::nn
