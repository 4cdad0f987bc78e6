// Program: the unevaluated nodes that one eval has collected, numbered. The
// input of planning; it holds no decision.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "treadle/base/hash.h"
#include "treadle/graph/node.h"

namespace treadle::plan {

// Values are numbered: leaves first, then each node's outputs in node order.
struct Program {
  struct Step {
    Node* node;
    uint32_t first_in;   // into `inputs`
    uint32_t first_out;  // value number of output 0
  };

  std::vector<Output*> leaves;
  std::vector<Step> nodes;       // in program order
  std::vector<uint32_t> inputs;  // value numbers, node after node
  std::vector<Output*> values;   // by value number
  std::vector<uint8_t> wanted;   // by value number: somebody outside holds it

  std::span<const uint32_t> inputs_of(size_t n) const {
    return {inputs.data() + nodes[n].first_in, nodes[n].node->num_inputs};
  }
  bool is_leaf(uint32_t v) const { return v < leaves.size(); }
  const Spec& spec(uint32_t v) const { return values[v]->spec; }
};

// What a plan depends on: ops and their structural fields, topology, dtypes,
// ranks, which shapes are equal, which lengths are 1 or 0, which leaves are
// contiguous, what is wanted. Lengths do not enter.
Hash128 structure_key(const Program& program);

// All lengths, layouts and size fields: with the structure, everything a run
// needs besides addresses.
Hash128 size_key(const Program& program);

}  // namespace treadle::plan
