// Reference kernel of matrix products: any dtype, any strides.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_matmul();

}  // namespace treadle::backend::cpu
