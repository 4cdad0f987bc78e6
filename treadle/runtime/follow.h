// Turning a step that follows a product into work on rows of it.
#pragma once

#include "treadle/runtime/instance.h"

namespace treadle::runtime {

// The arguments of a tape over `space` laid out over (rows, ...), where the
// axes after the first have `row` elements together; false when some operand
// has no single step from row to row.
bool lay_out_by_rows(const Shape& space,
                     int64_t row,
                     std::vector<Operand>& in,
                     std::vector<Operand>& out);

}  // namespace treadle::runtime
