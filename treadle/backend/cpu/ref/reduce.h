// Reference kernels of reductions.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_reduce();
runtime::Kernel ref_arg_reduce();

}  // namespace treadle::backend::cpu
