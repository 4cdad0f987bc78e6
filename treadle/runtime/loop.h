// Loops: a scan's body, planned once, run step after step over the caller's
// memory. What a device's kernel for Scan is made of.
#pragma once

#include <memory>

#include "treadle/runtime/kernel.h"

namespace treadle::runtime {

// Plans the body for a call: to be called where plans are made, under the eval
// mutex. Outputs without memory (data null) are not computed. The result is the
// task's `prepared` in the functions below.
std::shared_ptr<const void> prepare_loop(const Task& task, Device::Type device);

// Scratch of a call: the body's arena, two buffers for each value that one step
// hands to the next, and what kernels keep.
size_t loop_workspace(const Task& task);

// All steps on this thread. All operands row-contiguous.
void run_loop(const Task& task, Device device);

}  // namespace treadle::runtime
