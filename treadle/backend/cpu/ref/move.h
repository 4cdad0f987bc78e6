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

// The elements of `to` that lie at start, start + step, ... per axis.
runtime::Operand slice_of(const runtime::Operand& to,
                          const Shape& start,
                          const Shape& step,
                          const Shape& shape);

}  // namespace treadle::backend::cpu
