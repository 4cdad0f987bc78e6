// Derivatives and batching of functions from arrays to arrays.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

using ArraysFn = std::function<Arrays(const Arrays&)>;

// Outputs of f and the pullback of `cotangents` (one for each output, of its
// shape; a null array stands for zero): one gradient for each primal.
// Throws std::invalid_argument when counts or shapes do not match.
std::pair<Arrays, Arrays> vjp(const ArraysFn& f,
                              const Arrays& primals,
                              const Arrays& cotangents);

// Outputs of f and their tangents along `tangents` (one for each primal).
std::pair<Arrays, Arrays> jvp(const ArraysFn& f,
                              const Arrays& primals,
                              const Arrays& tangents);

// The values of f and the gradients of its first output, which must be a
// scalar, with respect to the arguments `argnums`. Gradients have the shapes
// and dtypes of the arguments.
using ValueAndGradFn = std::function<std::pair<Arrays, Arrays>(const Arrays&)>;
ValueAndGradFn value_and_grad(ArraysFn f, std::vector<int> argnums = {0});
ArraysFn grad(ArraysFn f, std::vector<int> argnums = {0});
// For a function of one array.
std::function<array(const array&)> grad(std::function<array(const array&)> f);

// f over a batch: argument i is mapped along in_axes[i] (kNotMapped: passed
// whole), output j gets the batch axis at out_axes[j] (kNotMapped: one result,
// which must not depend on the batch). Empty lists: axis 0 for all.
ArraysFn vmap(ArraysFn f,
              std::vector<int> in_axes = {},
              std::vector<int> out_axes = {});
// The same with the output axes chosen when f has returned: from its results
// for one element of the batch.
using OutAxesFn = std::function<std::vector<int>(const Arrays& results)>;
ArraysFn vmap(ArraysFn f, std::vector<int> in_axes, OutAxesFn out_axes);

}  // namespace treadle
