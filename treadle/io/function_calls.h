// Checkpoints and custom functions in a traced function: calls of graphs with
// rules of their own.
#pragma once

#include <memory>
#include <optional>

#include "treadle/graph/node.h"
#include "treadle/io/function_graph.h"

namespace treadle {

// What stands for a call while a function is being saved.
struct CallToSave {
  OpPtr op;
  Arrays inputs;  // arguments and captures, as they were recorded
};
// None when the node is no such call. The rules of a custom function are traced
// with placeholders for their arguments; vmap's is left out.
std::optional<CallToSave> call_of(Node& n);
// Of such an op; null for others.
std::shared_ptr<const SavedCall> saved_call(const Op& op);

// Whether a call with so many inputs can have these graphs.
bool fits(const SavedCall& call, size_t inputs);
// Records it again, with its rules.
Arrays run_call(const std::shared_ptr<const SavedCall>& call, const Arrays& in);

}  // namespace treadle
