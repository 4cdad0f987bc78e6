// Reference kernels of sorting and searching.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel ref_sort();
runtime::Kernel ref_argsort();
runtime::Kernel ref_argpartition();
runtime::Kernel ref_searchsorted();

}  // namespace treadle::backend::cpu
