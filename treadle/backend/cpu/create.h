// Kernels of ops without input, in vectors and threads.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel arange();

}  // namespace treadle::backend::cpu
