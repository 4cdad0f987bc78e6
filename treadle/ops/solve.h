// Systems of equations and inverses: ops over the last two axes of their
// inputs, float32 or float64, with equal batch axes (record broadcasts them).
// Inputs may be strided: a transpose costs no copy.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/matrix_op.h"
#include "treadle/ops/rules.h"

namespace treadle::linalg {

// a (..., N, N), of which one triangle is read, b (..., N, K) -> x (..., N, K)
// with a x = b. Unit: the diagonal counts as ones. Throws std::runtime_error
// when a 0 is on the diagonal.
struct TriangularSolve : MatrixOp<TriangularSolve> {
  static constexpr std::string_view op_name = "linalg.solve_triangular";
  bool upper = false, unit = false;
  auto fields() const { return std::tie(upper, unit); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP_VJP
};

// a (..., N, N), its factors packed (..., N, N) and order (..., N) by Lu, b
// (..., N, K) -> x (..., N, K) with a x = b, or a^T x = b. Only the factors are
// read; a is there for the derivative, which solves with the same factors.
// Throws std::runtime_error when a is singular.
struct LuSolve : MatrixOp<LuSolve> {
  static constexpr std::string_view op_name = "linalg.solve";
  bool transposed = false;
  auto fields() const { return std::tie(transposed); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP_VJP
};

// a (..., N, N) -> its inverse; of the lower or upper triangle alone when
// `kind` says so. Throws std::runtime_error when there is none.
struct Inverse : MatrixOp<Inverse> {
  static constexpr std::string_view op_name = "linalg.inv";
  enum class Kind : uint8_t { general, lower, upper };
  Kind kind = Kind::general;
  auto fields() const { return std::tie(kind); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP_VJP
};

// a (..., N, N) -> adj(a), the transpose of its cofactors: a adj(a) = det(a) I.
// Exists for every matrix; its own derivative for invertible ones.
struct Adjugate : MatrixOp<Adjugate> {
  static constexpr std::string_view op_name = "linalg.adjugate";
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP_VJP
};

}  // namespace treadle::linalg
