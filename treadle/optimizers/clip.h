// Gradient clipping.
#pragma once

#include "treadle/graph/tree.h"
#include "treadle/optimizers/rules.h"

namespace treadle::optimizers {

// Unpacks into both (auto [grads, norm] = ...), and is taken for the gradients
// where a Tree is expected.
struct ClippedGradients {
  Tree gradients;
  array norm;  // before clipping
  operator const Tree&() const { return gradients; }
};
struct ClippedArrays {
  Arrays gradients;
  array norm;
};

// All gradients times min(1, max_norm / (n + 1e-6)), n the root of the sum of
// their squares (in float32 for half precision). Dtypes stay. Throws
// std::invalid_argument when max_norm is negative.
ClippedArrays clip_grad_norm(ArraySpan gradients, double max_norm);
ClippedGradients clip_grad_norm(const Tree& gradients, double max_norm);

}  // namespace treadle::optimizers
