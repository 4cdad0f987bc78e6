// Positions along several axes as one: a pass for each axis.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel join_indices();

}  // namespace treadle::backend::cpu
