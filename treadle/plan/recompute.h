// Which values are computed again where they are read, instead of being kept in
// memory for it.
#pragma once

#include <cstdint>
#include <vector>

#include "treadle/plan/fuse.h"
#include "treadle/plan/plan.h"
#include "treadle/plan/program.h"

namespace treadle::plan {

// A value that one tape stores only for others to load costs a write and a read
// for each. When it follows by a few cheap rows from what is in memory anyway,
// the readers get those rows instead. Takes such values off `needed` (by value:
// it has to be in memory). What results is the same, bit for bit.
void choose_recomputed(const Program& program,
                       const std::vector<PlanValue>& values,
                       const Grouping& grouping,
                       std::vector<uint8_t>& needed);

}  // namespace treadle::plan
