// Bodies of region ops as programs, and calls of them: planned once and kept
// with the graph.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "treadle/graph/graph.h"
#include "treadle/runtime/collect.h"
#include "treadle/runtime/instance.h"

namespace treadle::runtime {

// A body's program. Each leaf is an argument of the call or a constant.
struct BodyProgram {
  plan::Program program;
  Arrays keep_alive;
  std::vector<int32_t> argument;  // by leaf; -1: a constant
  std::vector<uint32_t> outputs;  // value of each output
};

// Of all nodes of the body, those of body_nodes(graph).
BodyProgram body_program(const Graph& graph, std::span<Node* const> nodes);

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
