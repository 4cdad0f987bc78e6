// Writing at index arrays, in threads, with the same bits for any number of
// them.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel scatter();
runtime::Kernel scatter_along_axis();

}  // namespace treadle::backend::cpu
