// The plans made so far, by structure, and their instances, by sizes. Least
// recently used ones go first. Guarded by the eval mutex.
#pragma once

#include <memory>

#include "treadle/plan/program.h"
#include "treadle/runtime/instance.h"

namespace treadle::runtime {

// The instance for a program on a device: found, or planned and instantiated.
std::shared_ptr<Instance> instance_for(const plan::Program& program,
                                       Device::Type device);

// Plans and instances built since the start: tests and benchmarks read them.
struct PlanCounts {
  size_t plans = 0;
  size_t instances = 0;
};
PlanCounts plan_counts();

}  // namespace treadle::runtime
