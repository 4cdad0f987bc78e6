// Matrix products by oneDNN.
#pragma once

#include <cstddef>

#include "treadle/backend/cpu/matmul_problem.h"

namespace treadle::backend::cpu::onednn {

// Both factors nested (is_nested), of the result's dtype, which is native
// (engine.h); no empty sum.
size_t matmul_scratch_bytes(const Product& p, int threads);
void matmul(const Product& p, void* scratch, int threads);

}  // namespace treadle::backend::cpu::onednn
