// Matrix products by OpenBLAS: float64 and complex64, and float32 where oneDNN
// is not built in.
#pragma once

#include "treadle/backend/cpu/matmul_problem.h"

namespace treadle::backend::cpu {

// Both factors ordered by rows or by columns and of the result's dtype, no
// empty sum. With `follow`, its work is done on each block of rows. Without
// memory for the result, blocks lie in `space`, of blas_bytes() bytes.
void blas_matmul(const Product& p,
                 int threads,
                 const runtime::Follow* follow = nullptr,
                 char* space = nullptr);
size_t blas_bytes(const Product& p, int threads);

// The same on this thread, of a product without a batch; c is added to if
// `add`. prepare_openblas() has been called.
void blas_gemm(const Product& p, bool add);

}  // namespace treadle::backend::cpu
