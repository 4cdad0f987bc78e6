// What the CPU backend offers to the runtime.
#pragma once

#include "treadle/runtime/backend.h"
#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Backend& backend();

// Lists the CPU kernels of every op, fastest first, reference last.
void register_kernels(runtime::KernelTable& table);

// Copies element by element between equal shapes of any strides, converting
// when the dtypes differ. The two do not overlap.
void copy_strided(const runtime::Operand& from, const runtime::Operand& to);

}  // namespace treadle::backend::cpu
