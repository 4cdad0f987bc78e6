// Loops: a scan's body, planned once, run step after step over the caller's
// memory. What a device's kernel for Scan is made of.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::runtime {

// Scratch of a call: the body's arena, and two buffers for each value that one
// step hands to the next. Plans the body: to be called where plans are made,
// under the eval mutex. Outputs without memory (data null) are not computed.
size_t loop_workspace(const Task& task, Device::Type device);

// All steps on this thread. All operands row-contiguous.
void run_loop(const Task& task, Device device);

}  // namespace treadle::runtime
