// Whether operands share memory, for kernels that may write in place.
#pragma once

#include <vector>

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// True when the two have a byte in common, judged by the first and last one of
// each.
bool overlap(const runtime::Operand& a, const runtime::Operand& b);

// `in`, or a copy of it in `store` when writing `out` would change it.
runtime::Operand apart_from(const runtime::Operand& in,
                            const runtime::Operand& out,
                            std::vector<char>& store);

}  // namespace treadle::backend::cpu
