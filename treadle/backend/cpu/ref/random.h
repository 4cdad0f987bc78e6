// Reference kernel of random bits.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_random_bits();

}  // namespace treadle::backend::cpu
