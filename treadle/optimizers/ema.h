// EMA: exponential moving averages of a model's parameters, which often do
// better than the parameters of the last step.
#pragma once

#include "treadle/graph/tree.h"
#include "treadle/optimizers/rules.h"
#include "treadle/transforms/compile.h"

namespace treadle::optimizers {

// average + (1 - decay) (parameter - average), in the averages' dtypes.
Arrays ema_update(ArraySpan averages, ArraySpan parameters, const array& decay);

// min(decay, (1 + n) / (10 + n)) after n updates: so the first parameters,
// which are worth nothing, are soon forgotten.
array ema_warmup(const array& updates, double decay);

struct EmaOptions {
  double decay = 0.999;
  bool warmup = false;  // a smaller decay in the beginning
};

// Averages of the trainable parameters, kept in float32 or wider: in bfloat16 a
// change of one part in a thousand would be lost.
//
//   EMA ema(model);
//   ...
//   optimizer.update(model, gradients);
//   ema.update(model);
//   ...
//   const Tree own = ema.apply(model);  // the model has the averages
//   evaluate(model);
//   model.update(own);
//
// Source: Polyak & Juditsky, Acceleration of Stochastic Approximation by
// Averaging, 1992.
class EMA {
 public:
  // The averages begin as the model's parameters.
  template <class Model>
  explicit EMA(const Model& model, const EmaOptions& options = {})
      : EMA(model.trainable_parameters(), options) {}
  explicit EMA(const Tree& parameters, const EmaOptions& options = {});

  // After each step. Throws std::invalid_argument when other parameters are
  // trainable than were in the beginning.
  template <class Model>
  void update(const Model& model) {
    update(model.trainable_parameters());
  }
  void update(const Tree& parameters);

  // Gives the averages to the model, in its dtypes, and returns what it had.
  template <class Model>
  Tree apply(Model& model) const {
    Tree own = model.trainable_parameters();
    model.update(as(own));
    return own;
  }

  // The averages, like the model's trainable parameters.
  const Tree& average() const { return state_.at("average"); }
  // {"updates", "average"}
  const Tree& state() const { return state_; }
  void set_state(Tree state) { state_ = std::move(state); }

 private:
  Tree as(const Tree& parameters) const;
  void check(const Tree& parameters) const;

  EmaOptions options_;
  Tree state_ = Tree::map();
};

// The averages as state of a compiled function, which they must outlive.
CapturedState captured(EMA& ema);

}  // namespace treadle::optimizers
