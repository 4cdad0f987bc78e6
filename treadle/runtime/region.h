// Calls of region ops: the body's program, planned once and kept with its
// graph.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "treadle/graph/graph.h"
#include "treadle/runtime/collect.h"
#include "treadle/runtime/instance.h"

namespace treadle::runtime {

struct RegionCall {
  std::shared_ptr<Instance> instance;
  std::vector<Output*> leaves;
  std::vector<uint8_t> free_leaf;
  std::vector<std::pair<Output*, uint32_t>> results;
};

// The body bound to the node's inputs and outputs.
RegionCall region_call(const Graph& graph, Node& node);
// The same as a segment for the interpreter.
Segment region_segment(const Graph& graph, Node& node);

}  // namespace treadle::runtime
