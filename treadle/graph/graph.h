// A closed piece of graph: what a traced function computes. Owned by region
// ops.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

struct Graph {
  Arrays inputs;   // placeholders
  Arrays outputs;  // may be inputs, or constants made outside the trace
  uint64_t first_seq = 0;
  // What the ops inside refer to weakly (Trace::hold).
  std::vector<std::shared_ptr<const void>> held;
  // What the runtime has prepared for calls; guarded by its eval mutex.
  mutable std::shared_ptr<void> prepared;
};

}  // namespace treadle
