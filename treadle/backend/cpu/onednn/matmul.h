// Matrix products by oneDNN.
#pragma once

#include <cstddef>

#include "treadle/backend/cpu/matmul_problem.h"

namespace treadle::backend::cpu::onednn {

// Both factors ordered by rows or by columns, dtype native (engine.h), no empty
// sum. The number of threads is the one in force when called.
size_t matmul_scratch_bytes(const Product& p, int threads);
void matmul(const Product& p, void* scratch, int threads);

}  // namespace treadle::backend::cpu::onednn
