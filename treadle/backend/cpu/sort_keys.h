// Integers that are in order when the elements are, and back. The key of a
// floating number is its bits, of which a negative one's size counts down; NaN
// has the largest key.
#pragma once

#include <cstdint>

#include "treadle/base/dtype.h"

namespace treadle::backend::cpu {

// The keys (signed, of the element's size) of n elements of a real floating
// dtype, and back in place; every NaN becomes one and the same.
void float_keys(Dtype dtype, const void* x, int64_t n, void* keys);
void floats_of_keys(Dtype dtype, void* keys, int64_t n);

// For elements of at most 32 bits: keys above, places 0, 1, ... n - 1 below. -0
// and 0 have one key.
void keys_with_places(Dtype dtype, const void* x, int64_t n, uint64_t* pairs);

}  // namespace treadle::backend::cpu
