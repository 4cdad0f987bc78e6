// Optimizer: holds the state that an update rule needs between steps, and
// applies the rule to trees of parameters. The rules are in rules.h.
#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "treadle/graph/tree.h"
#include "treadle/transforms/compile.h"

namespace treadle::optimizers {

// The value at a step: a scalar computed from the number of steps taken so far
// (uint64), in ops only, so that a compiled step follows it too.
using Schedule = std::function<array(const array& step)>;

// A learning rate: a number, or a schedule.
class Rate {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> Rate(T value) : value_(float(value)) {}
  Rate(const array& value) : value_(value) {}
  template <class F>
  requires std::is_invocable_r_v<array, const F&, const array&> Rate(F schedule)
      : schedule_(std::move(schedule)) {}

  const Schedule& schedule() const { return schedule_; }
  array at(const array& step) const {
    return schedule_ ? schedule_(step) : value_;
  }

 private:
  array value_;
  Schedule schedule_;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Applies the gradients to a model and gives it the result. Not evaluated:
  // eval(model.parameters().leaves()) and eval(state().leaves()) once a step.
  template <class Model>
  void update(Model& model, const Tree& gradients) {
    model.update(apply_gradients(gradients, model.parameters()));
  }

  // New parameters, a tree like `gradients`. `parameters` may hold more than
  // that. Throws std::invalid_argument when a gradient has no parameter, or not
  // its shape.
  virtual Tree apply_gradients(const Tree& gradients, const Tree& parameters);

  // Adds the state of parameters that have none yet, as the first step does.
  virtual void init(const Tree& parameters);

  // {"step", "learning_rate", then a tree like the parameters with a map for
  // each, such as {"m", "v"}}. It may be replaced (when training goes on from a
  // file).
  virtual const Tree& state() const { return state_; }
  virtual void set_state(Tree state) { state_ = std::move(state); }

  // Steps taken, uint64; the learning rate of the last step, float32. An
  // optimizer that chooses its own (Adafactor) has none and throws
  // std::out_of_range.
  virtual const array& step() const { return state_.at("step").leaf(); }
  virtual const array& learning_rate() const {
    return state_.at("learning_rate").leaf();
  }
  // A schedule, if there is one, overwrites this at the next step.
  virtual void set_learning_rate(const array& rate) {
    state_["learning_rate"] = Tree(rate);
  }

 protected:
  explicit Optimizer(const Rate& learning_rate);
  Optimizer();  // without a learning rate

  // Gradients, parameters and states, one entry for each parameter.
  struct Batch {
    Arrays gradients, parameters;
    std::vector<Tree*> states;
    std::vector<std::string> paths;

    // The arrays under one name of all states, and their replacements.
    Arrays get(std::string_view name) const;
    void set(std::string_view name, Arrays values) const;
  };

  // The state of one parameter: {"v": zeros}.
  virtual Tree init_single(const array& parameter) const = 0;
  // Returns the new parameters and replaces the states.
  virtual Arrays apply(const Batch& batch) = 0;

 private:
  Tree state_ = Tree::map();
  Schedule schedule_;
};

// The optimizer's state as state of a compiled function. All parameters must
// have their state: call init(parameters) first. The optimizer must outlive it.
CapturedState captured(Optimizer& optimizer);

}  // namespace treadle::optimizers
