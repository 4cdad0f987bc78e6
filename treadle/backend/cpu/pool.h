// Vector kernels of pooling for floating dtypes: lanes run along the channels,
// threads over rows. Every sum has one order, so results do not depend on the
// number of threads.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel pool();
runtime::Kernel mean_pool_grad();
runtime::Kernel max_pool_grad();
runtime::Kernel max_pool_pick();

}  // namespace treadle::backend::cpu
