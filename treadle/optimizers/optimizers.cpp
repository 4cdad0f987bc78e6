#include "treadle/optimizers/optimizers.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/create.h"

namespace treadle::optimizers {

namespace {

void check_beta(std::string_view op, double beta) {
  if (beta >= 0 && beta < 1) return;
  invalid(op, fmt::format("beta is {}; expected [0, 1).", beta));
}

void check_positive(std::string_view op, std::string_view name, double value) {
  if (value > 0) return;
  invalid(op, fmt::format("{} is {}; expected more than 0.", name, value));
}

void check_not_negative(std::string_view op,
                        std::string_view name,
                        double value) {
  if (value >= 0) return;
  invalid(op, fmt::format("{} is {}; expected 0 or more.", name, value));
}

Tree zeros_named(const array& like,
                 std::initializer_list<std::string_view> names) {
  Tree t = Tree::map();
  for (std::string_view name : names) t[name] = zeros_like(like);
  return t;
}

}  // namespace

SGD::SGD(const Rate& learning_rate, SgdOptions options)
    : RuleOptimizer(learning_rate), options_(options) {
  if (options.nesterov && (options.momentum <= 0 || options.dampening != 0)) {
    invalid(
        "SGD",
        fmt::format("nesterov with momentum {} and dampening {}; expected a "
                    "positive momentum and no dampening.",
                    options.momentum,
                    options.dampening));
  }
  takes_all();
}

Tree SGD::init_single(const array& parameter) const {
  return zeros_named(parameter, {"v"});
}

Arrays SGD::rule(const Batch& b) {
  SgdStep s = sgd_update(
      b.gradients, b.parameters, b.get("v"), learning_rate(), options_);
  b.set("v", std::move(s.velocities));
  return std::move(s.parameters);
}

Adam::Adam(const Rate& learning_rate, AdamOptions options)
    : RuleOptimizer(learning_rate), options_(options) {
  check_beta("Adam", options.beta1);
  check_beta("Adam", options.beta2);
  check_not_negative("Adam", "eps", options.eps);
  takes_all();
}

Tree Adam::init_single(const array& parameter) const {
  return zeros_named(parameter, {"m", "v"});
}

Arrays Adam::rule(const Batch& b) {
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

AdamW::AdamW(const Rate& learning_rate,
             double weight_decay,
             AdamOptions options)
    : Adam(learning_rate, options), weight_decay_(weight_decay) {
  takes_all();
}

Arrays AdamW::rule(const Batch& b) {
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

Adamax::Adamax(const Rate& learning_rate, AdamaxOptions options)
    : RuleOptimizer(learning_rate), options_(options) {
  check_beta("Adamax", options.beta1);
  check_beta("Adamax", options.beta2);
  check_not_negative("Adamax", "eps", options.eps);
  takes_all();
}

Tree Adamax::init_single(const array& parameter) const {
  return zeros_named(parameter, {"m", "v"});
}

Arrays Adamax::rule(const Batch& b) {
  AdamStep s = adamax_update(b.gradients,
                             b.parameters,
                             b.get("m"),
                             b.get("v"),
                             learning_rate(),
                             options_);
  b.set("m", std::move(s.first_moments));
  b.set("v", std::move(s.second_moments));
  return std::move(s.parameters);
}

Adagrad::Adagrad(const Rate& learning_rate, double eps)
    : RuleOptimizer(learning_rate), eps_(eps) {
  check_positive("Adagrad", "eps", eps);
  takes_all();
}

Tree Adagrad::init_single(const array& parameter) const {
  return zeros_named(parameter, {"v"});
}

Arrays Adagrad::rule(const Batch& b) {
  SquaresStep s = adagrad_update(
      b.gradients, b.parameters, b.get("v"), learning_rate(), eps_);
  b.set("v", std::move(s.squares));
  return std::move(s.parameters);
}

RMSprop::RMSprop(const Rate& learning_rate, double alpha, double eps)
    : RuleOptimizer(learning_rate), alpha_(alpha), eps_(eps) {
  check_not_negative("RMSprop", "alpha", alpha);
  check_positive("RMSprop", "eps", eps);
  takes_all();
}

Tree RMSprop::init_single(const array& parameter) const {
  return zeros_named(parameter, {"v"});
}

Arrays RMSprop::rule(const Batch& b) {
  SquaresStep s = rmsprop_update(
      b.gradients, b.parameters, b.get("v"), learning_rate(), alpha_, eps_);
  b.set("v", std::move(s.squares));
  return std::move(s.parameters);
}

AdaDelta::AdaDelta(const Rate& learning_rate, double rho, double eps)
    : RuleOptimizer(learning_rate), rho_(rho), eps_(eps) {
  check_not_negative("AdaDelta", "rho", rho);
  check_positive("AdaDelta", "eps", eps);
  takes_all();
}

Tree AdaDelta::init_single(const array& parameter) const {
  return zeros_named(parameter, {"v", "u"});
}

Arrays AdaDelta::rule(const Batch& b) {
  AdaDeltaStep s = adadelta_update(b.gradients,
                                   b.parameters,
                                   b.get("v"),
                                   b.get("u"),
                                   learning_rate(),
                                   rho_,
                                   eps_);
  b.set("v", std::move(s.squares));
  b.set("u", std::move(s.updates));
  return std::move(s.parameters);
}

Lion::Lion(const Rate& learning_rate, LionOptions options)
    : RuleOptimizer(learning_rate), options_(options) {
  check_beta("Lion", options.beta1);
  check_beta("Lion", options.beta2);
  takes_all();
}

Tree Lion::init_single(const array& parameter) const {
  return zeros_named(parameter, {"m"});
}

Arrays Lion::rule(const Batch& b) {
  LionStep s = lion_update(
      b.gradients, b.parameters, b.get("m"), learning_rate(), options_);
  b.set("m", std::move(s.moments));
  return std::move(s.parameters);
}

Muon::Muon(const Rate& learning_rate, MuonOptions options)
    : RuleOptimizer(learning_rate), options_(options) {
  takes_all();
}

Tree Muon::init_single(const array& parameter) const {
  return zeros_named(parameter, {"v"});
}

Arrays Muon::rule(const Batch& b) {
  SgdStep s = muon_update(
      b.gradients, b.parameters, b.get("v"), learning_rate(), options_);
  b.set("v", std::move(s.velocities));
  return std::move(s.parameters);
}

Adafactor::Adafactor(AdafactorOptions options) : options_(options) {
  takes_all();
}

Adafactor::Adafactor(const Rate& learning_rate, AdafactorOptions options)
    : RuleOptimizer(learning_rate), options_(options) {
  takes_all();
}

Optimizer& Adafactor::add_group(std::string paths, Group values) {
  if (values.learning_rate && options_.relative_step) {
    invalid("add_group",
            fmt::format("'{}' is given a learning rate, but this optimizer "
                        "chooses its own unless relative_step is false.",
                        paths));
  }
  return Optimizer::add_group(std::move(paths), std::move(values));
}

Tree Adafactor::init_single(const array& parameter) const {
  Tree t = Tree::map();
  const Shape& shape = parameter.shape();
  if (shape.size() < 2) {
    t["exp_avg_sq"] = zeros_like(parameter);
  } else {
    Shape row(shape.begin(), shape.end() - 1), column = row;
    column.back() = shape.back();
    t["exp_avg_sq_row"] = zeros(row, parameter.dtype());
    t["exp_avg_sq_col"] = zeros(column, parameter.dtype());
  }
  if (options_.beta1) t["exp_avg"] = zeros_like(parameter);
  return t;
}

Arrays Adafactor::rule(const Batch& b) {
  auto get = [](const Tree& t, std::string_view name) {
    const Tree* found = t.find(name);
    return found ? found->leaf() : array();
  };
  auto put = [](Tree& t, std::string_view name, const array& value) {
    if (!value.null()) t[name] = value;
  };
  std::vector<AdafactorState> states;
  for (size_t i = 0; i < b.states.size(); ++i) {
    const Tree* t = b.states[i];
    for (const auto& [name, zero] : init_single(b.parameters[i]).flatten()) {
      check_state(b.paths[i], name, t->find(name), zero.shape());
    }
    states.push_back({get(*t, "exp_avg_sq_row"),
                      get(*t, "exp_avg_sq_col"),
                      get(*t, "exp_avg_sq"),
                      get(*t, "exp_avg")});
  }
  AdafactorStep s = adafactor_update(b.gradients,
                                     b.parameters,
                                     states,
                                     get(state(), "learning_rate"),
                                     step(),
                                     options_);
  for (size_t i = 0; i < s.states.size(); ++i) {
    put(*b.states[i], "exp_avg_sq_row", s.states[i].row);
    put(*b.states[i], "exp_avg_sq_col", s.states[i].column);
    put(*b.states[i], "exp_avg_sq", s.states[i].full);
    put(*b.states[i], "exp_avg", s.states[i].moment);
  }
  return std::move(s.parameters);
}

}  // namespace treadle::optimizers
