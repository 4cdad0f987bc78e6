// Reference kernels of pooling: plain loops.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_pool();
runtime::Kernel ref_mean_pool_grad();
runtime::Kernel ref_max_pool_grad();
runtime::Kernel ref_max_pool_pick();

}  // namespace treadle::backend::cpu
