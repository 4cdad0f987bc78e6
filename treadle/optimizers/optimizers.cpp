#include "treadle/optimizers/optimizers.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/create.h"

namespace treadle::optimizers {

SGD::SGD(Rate learning_rate, SgdOptions options)
    : Optimizer(std::move(learning_rate)), options_(options) {
  if (options.nesterov && (options.momentum <= 0 || options.dampening != 0)) {
    invalid(
        "SGD",
        fmt::format("nesterov with momentum {} and dampening {}; expected a "
                    "positive momentum and no dampening.",
                    options.momentum,
                    options.dampening));
  }
}

Tree SGD::init_single(const array& parameter) const {
  return Tree::map({{"v", zeros_like(parameter)}});
}

Arrays SGD::apply(const Batch& b) {
  SgdStep s = sgd_update(
      b.gradients, b.parameters, b.get("v"), learning_rate(), options_);
  b.set("v", std::move(s.velocities));
  return std::move(s.parameters);
}

Adam::Adam(Rate learning_rate, AdamOptions options)
    : Optimizer(std::move(learning_rate)), options_(options) {
  for (double beta : {options.beta1, options.beta2}) {
    if (!(beta >= 0 && beta < 1)) {
      invalid("Adam", fmt::format("beta is {}; expected [0, 1).", beta));
    }
  }
  if (!(options.eps >= 0)) {
    invalid("Adam", fmt::format("eps is {}; expected 0 or more.", options.eps));
  }
}

Tree Adam::init_single(const array& parameter) const {
  return Tree::map(
      {{"m", zeros_like(parameter)}, {"v", zeros_like(parameter)}});
}

Arrays Adam::apply(const Batch& b) {
  AdamStep s = adam_update(b.gradients,
                           b.parameters,
                           b.get("m"),
                           b.get("v"),
                           learning_rate(),
                           step(),
                           options_);
  b.set("m", std::move(s.first_moments));
  b.set("v", std::move(s.second_moments));
  return std::move(s.parameters);
}

AdamW::AdamW(Rate learning_rate, double weight_decay, AdamOptions options)
    : Adam(std::move(learning_rate), options), weight_decay_(weight_decay) {}

Arrays AdamW::apply(const Batch& b) {
  AdamStep s = adamw_update(b.gradients,
                            b.parameters,
                            b.get("m"),
                            b.get("v"),
                            learning_rate(),
                            step(),
                            weight_decay_,
                            options_);
  b.set("m", std::move(s.first_moments));
  b.set("v", std::move(s.second_moments));
  return std::move(s.parameters);
}

}  // namespace treadle::optimizers
