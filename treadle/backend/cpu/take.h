// Reading at index arrays, in threads.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel take();
runtime::Kernel take_along_axis();

}  // namespace treadle::backend::cpu
