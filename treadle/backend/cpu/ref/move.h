// Reference kernels of ops that move elements without computing: one loop over
// all elements, any strides.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_astype();
runtime::Kernel ref_contiguous();
runtime::Kernel ref_slice_update();
runtime::Kernel ref_pad();
runtime::Kernel ref_concatenate();

// The plain loop: copies and converts between equal shapes of any strides.
void ref_copy(const runtime::Operand& from, const runtime::Operand& to);

}  // namespace treadle::backend::cpu
