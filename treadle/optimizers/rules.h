// Update rules: what one step does to a span of parameters. Pure functions; the
// only home of the formulas. All spans have one entry for each parameter, of
// its shape and dtype; results keep them. lr and step are scalars, so that a
// compiled step does not depend on their values.
#pragma once

#include <span>

#include "treadle/graph/array.h"

namespace treadle::optimizers {

using ArraySpan = std::span<const array>;

struct SgdOptions {
  double momentum = 0;      // mu
  double weight_decay = 0;  // lambda
  double dampening = 0;     // tau
  bool nesterov = false;
};
struct SgdStep {
  Arrays parameters, velocities;
};
// g' = g + lambda w;  v' = mu v + (1 - tau) g';  w' = w - lr v', or with
// nesterov w - lr (g' + mu v'). Without momentum w' = w - lr g' and velocities
// stay.
SgdStep sgd_update(ArraySpan gradients,
                   ArraySpan parameters,
                   ArraySpan velocities,
                   const array& lr,
                   const SgdOptions& options = {});

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  // MLX's default. Without the correction the first steps are about three times
  // larger than those of the paper.
  bool bias_correction = false;
};
struct AdamStep {
  Arrays parameters, first_moments, second_moments;
};
// m' = b1 m + (1 - b1) g;  v' = b2 v + (1 - b2) g^2;  w' = w - lr m' / (sqrt v'
// + eps). With bias_correction m' / (1 - b1^step) and v' / (1 - b2^step) take
// their places in the last formula; step counts from 1. (Kingma & Ba 2015,
// algorithm 1)
AdamStep adam_update(ArraySpan gradients,
                     ArraySpan parameters,
                     ArraySpan first_moments,
                     ArraySpan second_moments,
                     const array& lr,
                     const array& step,
                     const AdamOptions& options = {});

// adam_update of w (1 - lr weight_decay). (Loshchilov & Hutter 2019)
AdamStep adamw_update(ArraySpan gradients,
                      ArraySpan parameters,
                      ArraySpan first_moments,
                      ArraySpan second_moments,
                      const array& lr,
                      const array& step,
                      double weight_decay,
                      const AdamOptions& options = {});

}  // namespace treadle::optimizers
