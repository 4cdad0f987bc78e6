// Functions with derivatives and batching of the user's own.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "treadle/graph/op.h"
#include "treadle/transforms/autodiff.h"

namespace treadle {

// A rule that is left out follows from what the function records. The rules
// live as long as the transform that may call them.
struct CustomRules {
  // The gradients of all primals, given the cotangents of all outputs; a null
  // array stands for zero.
  std::function<Arrays(
      const Arrays& primals, const Arrays& cotangents, const Arrays& outputs)>
      vjp;
  // The tangents of all outputs along those of the primals; a primal without
  // one has a null array.
  std::function<Arrays(const Arrays& primals, const Arrays& tangents)> jvp;
  // The outputs over a batch; an input that is not mapped has axis kNotMapped.
  std::function<Mapped(const Arrays& inputs, const std::vector<int>& axes)>
      vmap;
};

// f with other rules. Throws std::invalid_argument when a rule gives another
// number of arrays, or arrays of other shapes, than it should.
ArraysFn custom_function(ArraysFn f, CustomRules rules);

// What stands behind the results of such a function. The node's first inputs
// are the primals, from which the results, its other inputs, were recorded.
struct CustomParts {
  std::shared_ptr<const CustomRules> rules;
  size_t num_primals = 0;
};
// None when the op is another one, or its trace is over.
std::optional<CustomParts> custom_function_of(const Op& op);

}  // namespace treadle
