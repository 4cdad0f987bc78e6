// Trading time for memory: intermediate values computed again for the gradient.
#pragma once

#include <memory>
#include <optional>

#include "treadle/graph/graph.h"
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

// What stands behind a checkpoint's results, for walks that rewrite graphs. The
// body's first inputs are the arguments, the others what it captures; the node
// has these as its first inputs, and then the results.
struct CheckpointParts {
  std::shared_ptr<const Graph> body;
  size_t num_arguments = 0;
};
// None when the op is another one.
std::optional<CheckpointParts> checkpoint_of(const Op& op);

}  // namespace treadle
