// Normalisation layers. State is passed in and returned; only holders keep it.
#pragma once

#include "treadle/graph/array.h"

namespace treadle::nn {

struct BatchNormed {
  array y;
  // (1 - momentum) old + momentum new; null when no old ones were given. The
  // new variance divides by n - 1, that of the formula by n.
  array running_mean, running_var;
};

// (x - E[x]) / sqrt(Var[x] + eps) weight + bias, with mean and variance over
// all axes but the last. Null weight and bias stand for 1 and 0. x (..., C) of
// 2 to 4 axes, others (C,). Throws std::invalid_argument when there is but one
// value for a channel. (Ioffe & Szegedy 2015)
BatchNormed batch_norm(const array& x,
                       const array& weight,
                       const array& bias,
                       const array& running_mean,
                       const array& running_var,
                       double momentum = 0.1,
                       double eps = 1e-5);

// The same with mean and variance that are given; null ones are those of x.
array batch_norm_with(const array& x,
                      const array& weight,
                      const array& bias,
                      const array& mean,
                      const array& var,
                      double eps = 1e-5);

// Of LayerNorm and RMSNorm see treadle::fast (ops/norms.h).

// Channels in groups, each normalised over space with mean and variance of its
// own: (x - E[x]) / sqrt(Var[x] + eps) weight + bias. x (N, ..., C), weight and
// bias (C,) or null. Group g of `groups` holds the channels g, g + groups, ...,
// as in MLX; with `pytorch_compatible` the C / groups that follow each other.
// (Wu & He 2018)
array group_norm(const array& x,
                 int groups,
                 const array& weight,
                 const array& bias,
                 double eps = 1e-5,
                 bool pytorch_compatible = false);

// Each channel of each example normalised over space. x (N, ..., C) of at least
// three axes. (Ulyanov et al. 2016)
array instance_norm(const array& x,
                    const array& weight,
                    const array& bias,
                    double eps = 1e-5);

}  // namespace treadle::nn
