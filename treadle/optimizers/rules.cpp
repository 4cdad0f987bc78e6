#include "treadle/optimizers/rules.h"

#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle::optimizers {

namespace {

// lr is float32; in the dtype of g it leaves half precision parameters half.
array rate_for(const array& g, const array& lr) {
  return astype(lr, g.dtype());
}

}  // namespace

SgdStep sgd_update(ArraySpan gradients,
                   ArraySpan parameters,
                   ArraySpan velocities,
                   const array& lr,
                   const SgdOptions& o) {
  SgdStep out;
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array &w = parameters[i], &v = velocities[i];
    array g = gradients[i];
    if (o.weight_decay != 0) g = g + o.weight_decay * w;
    array rate = rate_for(g, lr);
    if (o.momentum <= 0) {
      out.parameters.push_back(w - rate * g);
      out.velocities.push_back(v);
      continue;
    }
    array v1 = o.momentum * v + (o.dampening > 0 ? (1 - o.dampening) * g : g);
    out.parameters.push_back(w -
                             rate * (o.nesterov ? g + o.momentum * v1 : v1));
    out.velocities.push_back(v1);
  }
  return out;
}

AdamStep adam_update(ArraySpan gradients,
                     ArraySpan parameters,
                     ArraySpan first_moments,
                     ArraySpan second_moments,
                     const array& lr,
                     const array& step,
                     const AdamOptions& o) {
  AdamStep out;
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array &g = gradients[i], &w = parameters[i];
    array rate = rate_for(g, lr);
    array m = o.beta1 * first_moments[i] + (1 - o.beta1) * g;
    array v = o.beta2 * second_moments[i] + (1 - o.beta2) * square(g);
    if (o.bias_correction) {
      array c1 = astype(rate / (1 - power(o.beta1, step)), g.dtype());
      array c2 = astype(rsqrt(1 - power(o.beta2, step)), g.dtype());
      out.parameters.push_back(w - c1 * m / (sqrt(v) * c2 + o.eps));
    } else {
      out.parameters.push_back(w - rate * m / (sqrt(v) + o.eps));
    }
    out.first_moments.push_back(m);
    out.second_moments.push_back(v);
  }
  return out;
}

AdamStep adamw_update(ArraySpan gradients,
                      ArraySpan parameters,
                      ArraySpan first_moments,
                      ArraySpan second_moments,
                      const array& lr,
                      const array& step,
                      double weight_decay,
                      const AdamOptions& o) {
  Arrays decayed;
  for (size_t i = 0; i < parameters.size(); ++i) {
    decayed.push_back(parameters[i] *
                      (1 - rate_for(gradients[i], lr) * weight_decay));
  }
  return adam_update(
      gradients, decayed, first_moments, second_moments, lr, step, o);
}

}  // namespace treadle::optimizers
