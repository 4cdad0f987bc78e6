// What kernels of products ask about the work that follows on their rows.
#pragma once

#include <cstddef>

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// The vector, if all that follows is that it is added to each row and the sum
// has the dtype of the row: libraries add it while they write the product, so
// that this is one pass over one array. Else null.
const runtime::Operand* followed_by_bias(const runtime::Follow& follow);
// Its elements side by side, in `space` (of so many bytes) if they are not: a
// vector of zeros may be one element that repeats.
size_t dense_bias_bytes(const runtime::Operand& bias);
const void* dense_bias(const runtime::Operand& bias, void* space);

// The output in whose memory the product may lie before the work that follows
// is done there; null: none, since something else that the work reads might lie
// in it too.
const runtime::Operand* follows_in_place(const runtime::Follow& follow);

// Does the work that follows on all of a product that lies at `rows`.
void follow_everywhere(const runtime::Follow& follow, void* rows, int threads);

}  // namespace treadle::backend::cpu
