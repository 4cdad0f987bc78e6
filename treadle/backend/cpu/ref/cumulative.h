// The reference kernel of running sums, products, maxima, ...
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_cumulative();

}  // namespace treadle::backend::cpu
