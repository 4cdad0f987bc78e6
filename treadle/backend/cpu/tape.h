// The kernel that runs fused tapes.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel tape_kernel();

}  // namespace treadle::backend::cpu
