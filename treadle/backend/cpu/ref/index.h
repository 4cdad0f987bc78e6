// Reference kernels of reading and writing at index arrays: one element after
// the other, in row order.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_take();
runtime::Kernel ref_take_along_axis();
runtime::Kernel ref_scatter();
runtime::Kernel ref_scatter_along_axis();

}  // namespace treadle::backend::cpu
