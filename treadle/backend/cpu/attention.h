// Attention in tiles, both ways: the scores never lie in memory as a whole.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel attention();
runtime::Kernel attention_grad();

}  // namespace treadle::backend::cpu
