// Collecting: which nodes an eval must compute, cut into segments that each run
// as one plan.
#pragma once

#include <utility>
#include <vector>

#include "treadle/graph/graph.h"
#include "treadle/graph/node.h"
#include "treadle/plan/program.h"

namespace treadle::runtime {

// Nodes of one stream that run as one plan.
struct Segment {
  void clear();

  Stream stream;
  plan::Program program;
  std::vector<array> keep_alive;  // expansions made while collecting
  // Outputs that somebody outside holds, and the value each gets.
  std::vector<std::pair<Output*, uint32_t>> results;
  // Collected nodes, expanded composites among them: what is done after
  // binding.
  std::vector<Node*> nodes;
  // By leaf: the handles that the collected nodes hold. The leaf's memory may
  // be taken over when it has no others.
  std::vector<uint32_t> leaf_edges;
};

// The unevaluated nodes that the targets depend on, in program order, without
// looking inside composites. Throws for a placeholder.
std::vector<Node*> unevaluated(std::span<const array> targets);
// The same into `found`, which keeps its capacity.
void find_unevaluated(std::span<const array> targets,
                      std::vector<Node*>& found);

// Numbers the nodes of one segment. Inputs from elsewhere must be evaluated.
// Composites without a kernel on the device are replaced by their expansion.
// Into `out`, which keeps its capacity: small evals allocate nothing.
void collect(std::span<Node* const> nodes, Segment& out);

// The nodes of a traced function's body, in program order, and their program:
// placeholders are leaves, exactly the graph's outputs are wanted.
std::vector<Node*> body_nodes(const Graph& graph);
Segment collect_body(const Graph& graph,
                     std::span<Node* const> nodes,
                     std::vector<uint32_t>* outputs);

}  // namespace treadle::runtime
