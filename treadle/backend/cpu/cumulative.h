// Running sums, products, maxima, minima and log-sum-exps.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel cumulative();

}  // namespace treadle::backend::cpu
