// Adding 16-bit floats at index arrays: sums are kept in float32 and rounded
// once.
#pragma once

#include "treadle/backend/cpu/index.h"

namespace treadle::backend::cpu {

// Scatter: output 0 already holds the base.
void add_half_slices(const runtime::Task& task,
                     int axis,
                     const runtime::Operand& indices,
                     const runtime::Operand& updates);
// ScatterAlongAxis; w after collapse().
void add_half_lines(const runtime::Task& task,
                    const IndexWalk& w,
                    const runtime::Operand& indices,
                    const runtime::Operand& updates);

}  // namespace treadle::backend::cpu
