// The square root of a covariance matrix.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/matrix_op.h"
#include "treadle/ops/rules.h"

namespace treadle {

// x (..., N, N), symmetric and positive semi-definite, float32 or float64 ->
// the symmetric positive semi-definite y with y y = x. Only x's lower triangle
// is read. Eigenvalues below 0 count by their absolute value, as singular
// values would. By Jacobi's eigenvalue iteration in float64. The derivative,
// which has no bound near eigenvalues of 0, is taken as 0 between two
// eigenvectors that belong to such.
struct SymmetricRoot : linalg::MatrixOp<SymmetricRoot> {
  static constexpr std::string_view op_name = "symmetric_root";
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP
};

array symmetric_root(const array& x, StreamOrDevice s = {});

}  // namespace treadle
