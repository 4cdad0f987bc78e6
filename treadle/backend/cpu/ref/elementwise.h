// The reference of the elementwise rows.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_elementwise();

}  // namespace treadle::backend::cpu
