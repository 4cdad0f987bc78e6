// The optimizers: holders of options and state around the rules of rules.h.
#pragma once

#include "treadle/optimizers/optimizer.h"
#include "treadle/optimizers/rules.h"

namespace treadle::optimizers {

// Stochastic gradient descent; see sgd_update. State: {"v"}. Nesterov needs a
// momentum and no dampening, otherwise throws std::invalid_argument.
class SGD : public Optimizer {
 public:
  explicit SGD(Rate learning_rate, SgdOptions options = {});

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays apply(const Batch& batch) override;

 private:
  SgdOptions options_;
};

// See adam_update. State: {"m", "v"}. Betas outside [0, 1) or a negative eps
// throw std::invalid_argument.
class Adam : public Optimizer {
 public:
  explicit Adam(Rate learning_rate = 1e-3, AdamOptions options = {});

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays apply(const Batch& batch) override;

  AdamOptions options_;
};

// Adam with decoupled weight decay; see adamw_update.
class AdamW : public Adam {
 public:
  explicit AdamW(Rate learning_rate = 1e-3,
                 double weight_decay = 0.01,
                 AdamOptions options = {});

 protected:
  Arrays apply(const Batch& batch) override;

 private:
  double weight_decay_;
};

}  // namespace treadle::optimizers
