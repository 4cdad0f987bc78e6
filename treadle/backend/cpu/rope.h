// Rotary positions: one pass over the input, angles computed once for all
// heads.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel rope();

}  // namespace treadle::backend::cpu
