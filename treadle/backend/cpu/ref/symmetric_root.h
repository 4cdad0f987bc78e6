// The kernel of the square root of a covariance matrix.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_symmetric_root();

}  // namespace treadle::backend::cpu
