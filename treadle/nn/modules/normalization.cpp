#include "treadle/nn/modules/normalization.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/functional/normalization.h"
#include "treadle/nn/modules/repr.h"
#include "treadle/ops/create.h"

namespace treadle::nn {

BatchNorm::BatchNorm(int num_features,
                     double eps,
                     double momentum,
                     bool affine,
                     bool track_running_stats)
    : num_features_(num_features), eps_(eps), momentum_(momentum) {
  if (!(eps > 0))
    invalid("BatchNorm", fmt::format("eps is {}; expected more than 0.", eps));
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
  ModuleScope scope(label());
  if (!training()) {
    return batch_norm_with(x, weight, bias, running_mean, running_var, eps_);
  }
  BatchNormed r =
      batch_norm(x, weight, bias, running_mean, running_var, momentum_, eps_);
  running_mean = r.running_mean;
  running_var = r.running_var;
  return r.y;
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

}  // namespace treadle::nn
