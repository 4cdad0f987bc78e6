// Four-byte elements at 32-bit indices, in vectors.
#pragma once

#include <cstdint>

namespace treadle::backend::cpu {

// y[k] = x[k x_step + index[k] step] for k < n, indices below 0 counted from
// `length`. False: some index is outside of [-length, length), for which
// element 0 was taken. All offsets from x are below 2^31.
bool take_words(const uint32_t* x,
                int64_t x_step,
                const int32_t* index,
                int64_t n,
                int64_t step,
                int64_t length,
                uint32_t* y);

}  // namespace treadle::backend::cpu
