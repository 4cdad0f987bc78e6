// Products of chosen matrices and of segments, without copies of what is
// chosen.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel chosen_products();
runtime::Kernel segment_products();
runtime::Kernel segment_rows();

}  // namespace treadle::backend::cpu
