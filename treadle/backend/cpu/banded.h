// Weighted sums of neighbours along an axis or two.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel banded();

}  // namespace treadle::backend::cpu
