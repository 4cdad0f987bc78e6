// TREADLE_PLAN=off: every node through its reference kernel, one after another,
// each value in memory of its own. The oracle of the planner and of the kernels.
#pragma once

#include "treadle/runtime/collect.h"

namespace treadle::runtime {

bool planning_enabled();

// Computes the segment's results at once, on the calling thread.
void interpret(Segment& segment);

}  // namespace treadle::runtime
