// Turning a step that follows a product into work on rows of it.
#pragma once

#include "treadle/runtime/instance.h"

namespace treadle::runtime {

// Elements of output 0 that kernels of the op hand on as one row: of random
// bits one, else the last axis.
int64_t row_of(const Op& op, const Operand& out);

// The arguments of a tape over `space` laid out over (rows, ...), where the
// axes after the first have `row` elements together; false when some operand
// has no single step from row to row.
bool lay_out_by_rows(const Shape& space,
                     int64_t row,
                     std::vector<Operand>& in,
                     std::vector<Operand>& out);

}  // namespace treadle::runtime
