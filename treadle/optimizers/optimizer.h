// Optimizer: holds the state that an update rule needs between steps, and
// applies the rule to trees of parameters. The rules are in rules.h.
//
// An optimizer of one's own defines init_single and apply_single:
//
//   struct Signs : Optimizer {
//     using Optimizer::Optimizer;
//     Tree init_single(const array&) const override { return Tree::map(); }
//     array apply_single(const array& g, const array& w, Tree&) override {
//       return w - learning_rate() * sign(g);
//     }
//   };
#pragma once

#include <optional>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "treadle/graph/tree.h"
#include "treadle/optimizers/rate.h"
#include "treadle/transforms/compile.h"

namespace treadle::optimizers {

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

  // Gives the parameters at some paths a learning rate or weight decay of their
  // own. `paths` is a path, a beginning of it such as "encoder" or "layers.0",
  // or holds * and ?, as in "*.bias". Where several groups name a parameter,
  // each of its two values is that of the longest `paths` which gives it.
  // Throws std::invalid_argument for a value that the optimizer itself does not
  // have; the next step does where there is no parameter at `paths`.
  struct Group {
    std::optional<Rate> learning_rate = {};
    std::optional<double> weight_decay = {};
  };
  virtual Optimizer& add_group(std::string paths, Group values);

  // {"step", "learning_rate", "group_rates" with those of groups, then a tree
  // like the parameters with a map for each, such as {"m", "v"}}. It may be
  // replaced (when training goes on from a file).
  virtual const Tree& state() const { return state_; }
  virtual void set_state(Tree state) { state_ = std::move(state); }

  // Steps taken, uint64; the learning rate of the last step, float32. An
  // optimizer that chooses its own (Adafactor) has none and throws
  // std::out_of_range.
  virtual const array& step() const { return state_.at("step").leaf(); }
  virtual const array& learning_rate() const {
    return state_.at("learning_rate").leaf();
  }
  // A number or a schedule. A number is overwritten at the next step where
  // there is a schedule.
  virtual void set_learning_rate(const Rate& rate);

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
    // Some of the entries.
    Batch part(const std::vector<size_t>& places) const;
  };

  // The state of one parameter: {"v": zeros}.
  virtual Tree init_single(const array& parameter) const = 0;
  // The new value of one parameter; replaces entries of its state.
  virtual array apply_single(const array& gradient,
                             const array& parameter,
                             Tree& state) = 0;
  // The new values of all parameters that share their options: those of
  // apply_single.
  virtual Arrays apply(const Batch& batch);
  // The option that a group's weight decay stands in for; null: there is none.
  virtual double* weight_decay() { return nullptr; }

 private:
  struct NamedGroup {
    std::string paths;
    Group values;
  };
  // Which of the groups gives each path its rate, and which its weight decay.
  std::vector<std::pair<size_t, size_t>> owners(
      const std::vector<std::string>& paths) const;
  void check_groups(const Tree& parameters);
  void schedule_rates();
  Arrays apply_by_group(const Batch& batch);

  Tree state_ = Tree::map();
  Schedule schedule_;
  std::vector<NamedGroup> groups_;
  size_t checked_groups_ = 0;  // of which parameters are known
};

// An optimizer whose rule takes all parameters in one call. A class derived
// from one of the library's may define apply_single anew, with the base's as
// its help; then parameters are taken one by one.
class RuleOptimizer : public Optimizer {
 protected:
  using Optimizer::Optimizer;

  virtual Arrays rule(const Batch& batch) = 0;
  array apply_single(const array& gradient,
                     const array& parameter,
                     Tree& state) override;
  Arrays apply(const Batch& batch) override;

  // Called by constructors of the library's classes: objects of just this class
  // take all at once.
  void takes_all() { whole_ = &typeid(*this); }

 private:
  const std::type_info* whole_ = nullptr;
};

// Throws std::invalid_argument unless the entry of a parameter's state is there
// with that shape.
void check_state(const std::string& path,
                 std::string_view name,
                 const Tree* entry,
                 const Shape& shape);

// The optimizer's state as state of a compiled function. All parameters must
// have their state: call init(parameters) first. The optimizer must outlive it.
CapturedState captured(Optimizer& optimizer);

}  // namespace treadle::optimizers
