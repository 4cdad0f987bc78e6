#include "treadle/optimizers/rules.h"

#include "treadle/ops/elementwise.h"
#include "treadle/optimizers/per_dtype.h"

namespace treadle::optimizers {

SgdStep sgd_update(ArraySpan gradients,
                   ArraySpan parameters,
                   ArraySpan velocities,
                   const array& lr,
                   const SgdOptions& o) {
  SgdStep out;
  // In the dtype of g, so that half precision parameters stay half.
  PerDtype rate_of(lr);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array &w = parameters[i], &v = velocities[i];
    array g = gradients[i];
    if (o.weight_decay != 0) g = g + o.weight_decay * w;
    const array& rate = rate_of(g);
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
  PerDtype rate_of(lr);
  PerDtype corrected_rate([&](Dtype d) {
    return astype(rate_of(d) / (1 - power(o.beta1, step)), d);
  });
  PerDtype correction(
      [&](Dtype d) { return astype(rsqrt(1 - power(o.beta2, step)), d); });
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array &g = gradients[i], &w = parameters[i];
    array m = o.beta1 * first_moments[i] + (1 - o.beta1) * g;
    array v = o.beta2 * second_moments[i] + (1 - o.beta2) * square(g);
    if (o.bias_correction) {
      out.parameters.push_back(w - corrected_rate(g) * m /
                                       (sqrt(v) * correction(g) + o.eps));
    } else {
      out.parameters.push_back(w - rate_of(g) * m / (sqrt(v) + o.eps));
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
  PerDtype kept([&](Dtype d) { return 1 - astype(lr, d) * weight_decay; });
  for (size_t i = 0; i < parameters.size(); ++i) {
    decayed.push_back(parameters[i] * kept(gradients[i]));
  }
  return adam_update(
      gradients, decayed, first_moments, second_moments, lr, step, o);
}

}  // namespace treadle::optimizers
