// The places of the true elements of a vector.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel true_places();

}  // namespace treadle::backend::cpu
