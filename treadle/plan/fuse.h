// Grouping: which nodes become one kernel.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "treadle/plan/plan.h"
#include "treadle/plan/program.h"

namespace treadle::plan {

struct Group {
  bool fusible = false;         // a tape; otherwise one op
  int inner_axes = -1;          // trailing axes of the row; -1: still open
  uint32_t space = 0;           // value whose shape is the space
  std::vector<uint32_t> nodes;  // of the program, ascending
};

struct Grouping {
  std::vector<Group> groups;      // in the order of execution
  std::vector<int32_t> group_of;  // by node; -1: a view or merged
};

// `values` gives each value's stand-in, view base and place, as build() has
// found them; `live` says which nodes are still there.
Grouping group_nodes(const Program& program,
                     const std::vector<PlanValue>& values,
                     const std::vector<uint8_t>& live);

// How a shape lies in a group's space.
enum class Form : uint8_t { full, row, outside };
Form form_of(const Shape& shape, const Shape& space, int inner_axes);

// Strictly elementwise or a reduction that a tape can hold.
bool fusible(const Op& op);

// The tape of a group, and the values it reads and writes in that order.
// `outputs` are the group's values that must be in memory.
PlanStep make_fused(const Program& program,
                    const std::vector<PlanValue>& values,
                    const Group& group,
                    const std::vector<uint32_t>& outputs);

}  // namespace treadle::plan
