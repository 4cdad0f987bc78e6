// Kernels of ops/factorize.h and ops/solve.h.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

runtime::Kernel lapack_cholesky();
runtime::Kernel lapack_lu();
runtime::Kernel lapack_qr();
runtime::Kernel lapack_svd();
runtime::Kernel lapack_eigh();
runtime::Kernel lapack_eig();

runtime::Kernel lapack_triangular_solve();
runtime::Kernel lapack_lu_solve();
runtime::Kernel lapack_inverse();
runtime::Kernel lapack_adjugate();

// Lists all of them.
void register_linalg(runtime::KernelTable& table);

}  // namespace treadle::backend::cpu
