// TREADLE_PLAN=off: every node through its reference kernel, one after another,
// each value in memory of its own. The oracle of the planner and of the
// kernels.
#pragma once

#include "treadle/runtime/collect.h"

namespace treadle::runtime {

bool planning_enabled();

// In this scope planning is on or off for the whole process, whatever
// TREADLE_PLAN says: for tests that compare the two.
class PlanningScope {
 public:
  explicit PlanningScope(bool on);
  ~PlanningScope();
  PlanningScope(const PlanningScope&) = delete;
  PlanningScope& operator=(const PlanningScope&) = delete;

 private:
  bool outer_;
};

// Computes the segment's results at once, on the calling thread.
void interpret(Segment& segment);

}  // namespace treadle::runtime
