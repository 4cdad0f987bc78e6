// Highway's quicksort of integers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "hwy/base.h"

namespace treadle::backend::cpu {

// Puts keys[0, n) in ascending order. K: (u)int16, 32 or 64, or hwy::uint128_t.
template <class K>
void vector_sort(K* keys, size_t n);

}  // namespace treadle::backend::cpu
