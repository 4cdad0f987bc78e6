// Trading time for memory: intermediate values computed again for the gradient.
#pragma once

#include "treadle/transforms/autodiff.h"

namespace treadle {

// f, whose intermediate values are not kept for its gradient: the reverse walk
// records f once more, and what it records runs after the forward pass, just
// before it is needed. Arrays that f captures get their gradients too. Numbers
// drawn in f are the same both times. A checkpoint of a function that does
// nothing but call a checkpointed one is that function, so that wrapping twice
// does not compute thrice.
// Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016.
ArraysFn checkpoint(ArraysFn f);

}  // namespace treadle
