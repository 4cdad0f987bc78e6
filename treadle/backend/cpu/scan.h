// Loops of scan.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// The body's plan once a step, its results written to their place in the
// stacks; nothing is allocated between steps.
runtime::Kernel loop_scan();

}  // namespace treadle::backend::cpu
