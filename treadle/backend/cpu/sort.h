// Sorting with Highway's vectorized quicksort, and binary search.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel sort();
runtime::Kernel argsort();
runtime::Kernel argpartition();
runtime::Kernel searchsorted();

}  // namespace treadle::backend::cpu
