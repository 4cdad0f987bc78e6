// argmax and argmin at memory speed.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel arg_reduce();

}  // namespace treadle::backend::cpu
