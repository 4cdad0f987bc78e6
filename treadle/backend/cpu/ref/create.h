// Reference kernels of ops without input.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_arange();

}  // namespace treadle::backend::cpu
