// LossScale: a factor on the loss that keeps gradients in float16 away from 0
// and from infinity, and follows them without asking for a value.
#pragma once

#include "treadle/optimizers/optimizer.h"
#include "treadle/optimizers/rules.h"

namespace treadle::optimizers {

struct LossScaleOptions {
  double initial = 65536;
  double growth = 2;     // after `interval` steps in a row that were finite
  double backoff = 0.5;  // after a step that was not
  int interval = 2000;
};

// True when all numbers of all arrays are finite: a bool of shape ().
array all_finite(ArraySpan arrays);

// The loss in float32 or wider, times the scale.
array scaled(const array& loss, const array& scale);

// values / scale, in float32 or wider and then in each one's dtype.
Arrays unscale(ArraySpan values, const array& scale);

// `now` where finite, else `before`.
Arrays keep_if(const array& finite, ArraySpan now, ArraySpan before);

// The state after a step: scale (float32, at least 1 and finite), and how many
// steps in a row were finite since it changed (int32).
struct ScaleStep {
  array scale, good_steps;
};
ScaleStep next_scale(const ScaleStep& state,
                     const array& finite,
                     const LossScaleOptions& options);

//   nn::value_and_grad(model, nn::autocast(model, [&](const array& x) {
//     return scale.scaled(loss(x));
//   }, float16));
//   ...
//   scale.update(optimizer, model, scale.unscaled(gradients));
//
// Nothing here waits for a value, so all of it may be part of a compiled step.
// Source: Micikevicius et al., Mixed Precision Training, 2018.
class LossScale {
 public:
  // Throws std::invalid_argument for numbers that make no sense.
  explicit LossScale(const LossScaleOptions& options = {});

  // The loss to differentiate.
  array scaled(const array& loss) const {
    return optimizers::scaled(loss, scale());
  }
  // What comes of it, by the scale; gradients that are not finite stay so.
  array unscaled(const array& value) const;
  Tree unscaled(const Tree& gradients) const;

  // A step of the optimizer, if all gradients (unscaled, perhaps clipped) are
  // finite; otherwise model and optimizer stay as they are, the number of steps
  // too. Then adapts the scale. Returns whether they were finite.
  template <class Model>
  array update(Optimizer& optimizer, Model& model, const Tree& gradients) {
    Updated u = updated(
        optimizer, gradients, model.parameters(), model.trainable_parameters());
    model.update(u.parameters);
    return u.finite;
  }

  const array& scale() const { return state_.at("scale").leaf(); }
  // {"scale", "good_steps"}
  const Tree& state() const { return state_; }
  void set_state(Tree state) { state_ = std::move(state); }

 private:
  struct Updated {
    Tree parameters;
    array finite;
  };
  Updated updated(Optimizer& optimizer,
                  const Tree& gradients,
                  const Tree& parameters,
                  const Tree& trainable);

  LossScaleOptions options_;
  Tree state_ = Tree::map();
};

// The scale as state of a compiled function; it must outlive it.
CapturedState captured(LossScale& scale);

}  // namespace treadle::optimizers
