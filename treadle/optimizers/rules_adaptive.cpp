// Adamax, Adagrad, RMSprop, AdaDelta and Lion.
#include "treadle/ops/elementwise.h"
#include "treadle/optimizers/per_dtype.h"
#include "treadle/optimizers/rules.h"

namespace treadle::optimizers {

AdamStep adamax_update(ArraySpan gradients,
                       ArraySpan parameters,
                       ArraySpan first_moments,
                       ArraySpan norms,
                       const array& lr,
                       const AdamaxOptions& o) {
  AdamStep out;
  PerDtype rate_of(lr);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array &g = gradients[i], &w = parameters[i];
    array m = o.beta1 * first_moments[i] + (1 - o.beta1) * g;
    array v = maximum(o.beta2 * norms[i], abs(g));
    out.parameters.push_back(w - rate_of(g) * m / (v + o.eps));
    out.first_moments.push_back(m);
    out.second_moments.push_back(v);
  }
  return out;
}

namespace {

// w - lr g / (sqrt v + eps)
array scaled_step(const array& w,
                  const array& g,
                  const array& v,
                  const array& rate,
                  double eps) {
  return w - rate * g / (sqrt(v) + eps);
}

}  // namespace

SquaresStep adagrad_update(ArraySpan gradients,
                           ArraySpan parameters,
                           ArraySpan squares,
                           const array& lr,
                           double eps) {
  SquaresStep out;
  PerDtype rate_of(lr);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array& g = gradients[i];
    array v = squares[i] + square(g);
    out.parameters.push_back(scaled_step(parameters[i], g, v, rate_of(g), eps));
    out.squares.push_back(v);
  }
  return out;
}

SquaresStep rmsprop_update(ArraySpan gradients,
                           ArraySpan parameters,
                           ArraySpan squares,
                           const array& lr,
                           double alpha,
                           double eps) {
  SquaresStep out;
  PerDtype rate_of(lr);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array& g = gradients[i];
    array v = alpha * squares[i] + (1 - alpha) * square(g);
    out.parameters.push_back(scaled_step(parameters[i], g, v, rate_of(g), eps));
    out.squares.push_back(v);
  }
  return out;
}

AdaDeltaStep adadelta_update(ArraySpan gradients,
                             ArraySpan parameters,
                             ArraySpan squares,
                             ArraySpan updates,
                             const array& lr,
                             double rho,
                             double eps) {
  AdaDeltaStep out;
  PerDtype rate_of(lr);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array &g = gradients[i], &u = updates[i];
    array v = rho * squares[i] + (1 - rho) * square(g);
    array d = sqrt(u + eps) / sqrt(v + eps) * g;
    out.parameters.push_back(parameters[i] - rate_of(g) * d);
    out.squares.push_back(v);
    out.updates.push_back(rho * u + (1 - rho) * square(d));
  }
  return out;
}

LionStep lion_update(ArraySpan gradients,
                     ArraySpan parameters,
                     ArraySpan moments,
                     const array& lr,
                     const LionOptions& o) {
  LionStep out;
  PerDtype rate_of(lr);
  PerDtype kept([&](Dtype d) { return 1 - rate_of(d) * o.weight_decay; });
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array &g = gradients[i], &m = moments[i];
    array w = parameters[i];
    if (o.weight_decay > 0) w = kept(g) * w;
    array direction = sign(o.beta1 * m + (1 - o.beta1) * g);
    out.parameters.push_back(w - rate_of(g) * direction);
    out.moments.push_back(o.beta2 * m + (1 - o.beta2) * g);
  }
  return out;
}

}  // namespace treadle::optimizers
