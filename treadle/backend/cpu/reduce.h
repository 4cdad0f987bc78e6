// Reductions over any axes of any layout. Those over the last or the first axes
// usually are parts of a tape; this takes the others, a mean over time for
// example.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel reduce();

}  // namespace treadle::backend::cpu
