// Moving elements without computing: the strided copy, and the kernels made of
// it.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// Copies between equal shapes of any strides. Converts when the dtypes differ,
// then element by element. The two do not overlap.
void copy(const runtime::Operand& from,
          const runtime::Operand& to,
          int threads);

// The same where the dtypes differ.
void convert_copy(const runtime::Operand& from,
                  const runtime::Operand& to,
                  int threads);

// Sets all elements to zero.
void zero(const runtime::Operand& to, int threads);

// The elements of `x` that lie at start, start + step, ... per axis.
runtime::Operand slice_of(const runtime::Operand& x,
                          const Shape& start,
                          const Shape& step,
                          const Shape& shape);

runtime::Kernel contiguous();
runtime::Kernel slice_update();
runtime::Kernel pad();
runtime::Kernel concatenate();

}  // namespace treadle::backend::cpu
