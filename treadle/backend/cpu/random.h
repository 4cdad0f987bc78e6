// Random bits in vectors and threads.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel random_bits();

}  // namespace treadle::backend::cpu
