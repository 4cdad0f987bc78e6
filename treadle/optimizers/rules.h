// Update rules: what one step does to a span of parameters. Pure functions; the
// only home of the formulas. All spans have one entry for each parameter, of
// its shape and dtype; results keep them. lr and step are scalars, so that a
// compiled step does not depend on their values.
#pragma once

#include <optional>
#include <span>
#include <vector>

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

// The rules below are in rules_adaptive.cpp.

struct AdamaxOptions {
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
};
// m' = b1 m + (1 - b1) g;  v' = max(b2 v, |g|);  w' = w - lr m' / (v' + eps).
// Without the correction of the paper, as in MLX. (Kingma & Ba 2015, algorithm
// 2)
AdamStep adamax_update(ArraySpan gradients,
                       ArraySpan parameters,
                       ArraySpan first_moments,
                       ArraySpan norms,
                       const array& lr,
                       const AdamaxOptions& options = {});

struct SquaresStep {
  Arrays parameters, squares;
};
// v' = v + g^2;  w' = w - lr g / (sqrt v' + eps). (Duchi et al. 2011)
SquaresStep adagrad_update(ArraySpan gradients,
                           ArraySpan parameters,
                           ArraySpan squares,
                           const array& lr,
                           double eps = 1e-8);
// v' = alpha v + (1 - alpha) g^2;  w' = w - lr g / (sqrt v' + eps). (Tieleman
// & Hinton 2012)
SquaresStep rmsprop_update(ArraySpan gradients,
                           ArraySpan parameters,
                           ArraySpan squares,
                           const array& lr,
                           double alpha = 0.99,
                           double eps = 1e-8);

struct AdaDeltaStep {
  Arrays parameters, squares, updates;
};
// v' = rho v + (1 - rho) g^2;  d = g sqrt(u + eps) / sqrt(v' + eps);
// u' = rho u + (1 - rho) d^2;  w' = w - lr d. (Zeiler 2012)
AdaDeltaStep adadelta_update(ArraySpan gradients,
                             ArraySpan parameters,
                             ArraySpan squares,
                             ArraySpan updates,
                             const array& lr,
                             double rho = 0.9,
                             double eps = 1e-6);

struct LionOptions {
  double beta1 = 0.9, beta2 = 0.99;
  double weight_decay = 0;
};
struct LionStep {
  Arrays parameters, moments;
};
// w' = (1 - lr weight_decay) w - lr sign(b1 m + (1 - b1) g);
// m' = b2 m + (1 - b2) g. (Chen et al. 2023)
LionStep lion_update(ArraySpan gradients,
                     ArraySpan parameters,
                     ArraySpan moments,
                     const array& lr,
                     const LionOptions& options = {});

struct MuonOptions {
  double momentum = 0.95;
  double weight_decay = 0.01;
  bool nesterov = true;
  int ns_steps = 5;
};
// g' = g + weight_decay w;  v' = mu v + (1 - mu) g';  u = v', or with nesterov
// (1 - mu) g' + mu v'. A u of two axes or more becomes an orthogonal matrix of
// (first axis, all others), and is scaled by sqrt max(1, a / b) for its last
// two lengths a, b; then w' = w - lr u. (Jordan et al. 2024)
SgdStep muon_update(ArraySpan gradients,
                    ArraySpan parameters,
                    ArraySpan velocities,
                    const array& lr,
                    const MuonOptions& options = {});

// Nearly the orthogonal factor U V^T of x = U S V^T, by `steps` iterations of
// Newton and Schulz whose polynomial, 3.4445 x - 4.7750 x^3 + 2.0315 x^5,
// takes singular values to about [0.7, 1.2]. x (N, M).
array newton_schulz(const array& x, int steps);

struct AdafactorOptions {
  double eps1 = 1e-30, eps2 = 1e-3;
  double clip_threshold = 1;
  double decay_rate = -0.8;
  std::optional<double> beta1 = {};  // without: no first moment
  double weight_decay = 0;
  bool scale_parameter = true;
  bool relative_step = true;
  bool warmup_init = false;
};
// What Adafactor keeps of a parameter: means of g^2 over the last axis (`row`)
// and over the last but one (`column`), or g^2 itself (`full`, then the others
// are null) for less than two axes; `moment` is null without beta1.
struct AdafactorState {
  array row, column, full, moment;
};
struct AdafactorStep {
  Arrays parameters;
  std::vector<AdafactorState> states;
};
// lr is null when relative_step sets it: min(0.01 or, with warmup_init, 1e-6
// step, 1 / sqrt step), times max(eps2, rms w) with scale_parameter. (Shazeer
// & Stern 2018, algorithm 5)
AdafactorStep adafactor_update(ArraySpan gradients,
                               ArraySpan parameters,
                               std::span<const AdafactorState> states,
                               const array& lr,
                               const array& step,
                               const AdafactorOptions& options = {});

}  // namespace treadle::optimizers
