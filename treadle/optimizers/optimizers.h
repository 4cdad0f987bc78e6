// The optimizers: holders of options and state around the rules of rules.h.
#pragma once

#include "treadle/optimizers/optimizer.h"
#include "treadle/optimizers/rules.h"

namespace treadle::optimizers {

// Stochastic gradient descent; see sgd_update. State: {"v"}. Nesterov needs a
// momentum and no dampening, otherwise throws std::invalid_argument.
class SGD : public RuleOptimizer {
 public:
  explicit SGD(const Rate& learning_rate, SgdOptions options = {});

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays rule(const Batch& batch) override;
  double* weight_decay() override { return &options_.weight_decay; }

 private:
  SgdOptions options_;
};

// See adam_update. State: {"m", "v"}. Betas outside [0, 1) or a negative eps
// throw std::invalid_argument.
class Adam : public RuleOptimizer {
 public:
  explicit Adam(const Rate& learning_rate = 1e-3, AdamOptions options = {});

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays rule(const Batch& batch) override;

  AdamOptions options_;
};

// Adam with decoupled weight decay; see adamw_update.
class AdamW : public Adam {
 public:
  explicit AdamW(const Rate& learning_rate = 1e-3,
                 double weight_decay = 0.01,
                 AdamOptions options = {});

 protected:
  Arrays rule(const Batch& batch) override;
  double* weight_decay() override { return &weight_decay_; }

 private:
  double weight_decay_;
};

// See adamax_update. State: {"m", "v"}.
class Adamax : public RuleOptimizer {
 public:
  explicit Adamax(const Rate& learning_rate = 1e-3, AdamaxOptions options = {});

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays rule(const Batch& batch) override;

 private:
  AdamaxOptions options_;
};

// See adagrad_update. State: {"v"}. An eps that is not positive throws
// std::invalid_argument.
class Adagrad : public RuleOptimizer {
 public:
  explicit Adagrad(const Rate& learning_rate = 1e-2, double eps = 1e-8);

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays rule(const Batch& batch) override;

 private:
  double eps_;
};

// See rmsprop_update. State: {"v"}. A negative alpha, or an eps that is not
// positive, throws std::invalid_argument; so do rho and eps of AdaDelta.
class RMSprop : public RuleOptimizer {
 public:
  explicit RMSprop(const Rate& learning_rate = 1e-2,
                   double alpha = 0.99,
                   double eps = 1e-8);

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays rule(const Batch& batch) override;

 private:
  double alpha_, eps_;
};

// See adadelta_update. State: {"v", "u"}.
class AdaDelta : public RuleOptimizer {
 public:
  explicit AdaDelta(const Rate& learning_rate = 1.0,
                    double rho = 0.9,
                    double eps = 1e-6);

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays rule(const Batch& batch) override;

 private:
  double rho_, eps_;
};

// See lion_update. State: {"m"}. Betas outside [0, 1) throw
// std::invalid_argument.
class Lion : public RuleOptimizer {
 public:
  explicit Lion(const Rate& learning_rate = 1e-4, LionOptions options = {});

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays rule(const Batch& batch) override;
  double* weight_decay() override { return &options_.weight_decay; }

 private:
  LionOptions options_;
};

// See muon_update. State: {"v"}. Meant for the inner matrices of a network;
// give embeddings, last layers and vectors to another optimizer, by
// MultiOptimizer.
class Muon : public RuleOptimizer {
 public:
  explicit Muon(const Rate& learning_rate, MuonOptions options = {});

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays rule(const Batch& batch) override;
  double* weight_decay() override { return &options_.weight_decay; }

 private:
  MuonOptions options_;
};

// See adafactor_update. State: {"exp_avg_sq_row", "exp_avg_sq_col"} or
// {"exp_avg_sq"}, and with beta1 {"exp_avg"}.
class Adafactor : public RuleOptimizer {
 public:
  explicit Adafactor(AdafactorOptions options = {});
  // The rate counts only without relative_step.
  explicit Adafactor(const Rate& learning_rate, AdafactorOptions options = {});

  Optimizer& add_group(std::string paths, Group values) override;

 protected:
  Tree init_single(const array& parameter) const override;
  Arrays rule(const Batch& batch) override;
  double* weight_decay() override { return &options_.weight_decay; }

 private:
  AdafactorOptions options_;
};

}  // namespace treadle::optimizers
