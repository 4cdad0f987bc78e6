#include "treadle/backend/cpu/linalg.h"

#include "treadle/ops/factorize.h"
#include "treadle/ops/solve.h"

namespace treadle::backend::cpu {

#ifdef TREADLE_HAS_OPENBLAS

void register_linalg(runtime::KernelTable& table) {
  table.add<linalg::Cholesky>({lapack_cholesky()});
  table.add<linalg::Lu>({lapack_lu()});
  table.add<linalg::Qr>({lapack_qr()});
  table.add<linalg::Svd>({lapack_svd()});
  table.add<linalg::Eigh>({lapack_eigh()});
  table.add<linalg::Eig>({lapack_eig()});
  table.add<linalg::TriangularSolve>({lapack_triangular_solve()});
  table.add<linalg::LuSolve>({lapack_lu_solve()});
  table.add<linalg::Inverse>({lapack_inverse()});
  table.add<linalg::Adjugate>({lapack_adjugate()});
}

#else

namespace {

std::string why_not(const Op&, std::span<const Spec>, std::span<const Spec>) {
  return "this build has no OpenBLAS";
}

template <class... T>
void add_none(runtime::KernelTable& table) {
  (table.add<T>({{.name = "lapack", .why_not = why_not}}), ...);
}

}  // namespace

void register_linalg(runtime::KernelTable& table) {
  add_none<linalg::Cholesky,
           linalg::Lu,
           linalg::Qr,
           linalg::Svd,
           linalg::Eigh,
           linalg::Eig,
           linalg::TriangularSolve,
           linalg::LuSolve,
           linalg::Inverse,
           linalg::Adjugate>(table);
}

#endif

}  // namespace treadle::backend::cpu
