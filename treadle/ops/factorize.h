// Factorisations of matrices: ops with several outputs, over the last two axes
// of their input, float32 or float64 (complex64 where it says so). Each reads
// its matrix only; derivatives are those of the factors, which exist where the
// factors depend smoothly on the matrix.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/matrix_op.h"
#include "treadle/ops/rules.h"

namespace treadle::linalg {

// a (..., N, N), symmetric positive definite, of which the lower triangle is
// read -> L (..., N, N), lower triangular, with L L^T = a. The derivative is
// that for symmetric changes of a.
struct Cholesky : MatrixOp<Cholesky> {
  static constexpr std::string_view op_name = "linalg.cholesky";
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP
};

// a (..., M, N) -> packed (..., M, N), L below its diagonal (with ones on it)
// and U on and above; pivots (..., K), uint32: the row that row i was exchanged
// with; order (..., M), uint32: row order[i] of a is row i of L U.
struct Lu : MatrixOp<Lu> {
  static constexpr std::string_view op_name = "linalg.lu";
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP
};

// a (..., M, N) -> Q (..., M, K), R (..., K, N), K = min(M, N): a = Q R with
// orthonormal columns of Q and R upper triangular.
struct Qr : MatrixOp<Qr> {
  static constexpr std::string_view op_name = "linalg.qr";
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP
};

// a (..., M, N), also complex64 -> U, S (..., K), V^H with a = U S V^H, S
// descending. Whole: U (..., M, M), V^H (..., N, N); thin: U (..., M, K), V^H
// (..., K, N); values: S alone.
struct Svd : MatrixOp<Svd> {
  static constexpr std::string_view op_name = "linalg.svd";
  enum class Parts : uint8_t { whole, thin, values };
  Parts parts = Parts::whole;
  auto fields() const { return std::tie(parts); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP
};

// a (..., N, N), symmetric (complex64: Hermitian), of which the lower triangle
// is read -> eigenvalues (..., N), ascending, and (with `vectors`) V (..., N,
// N), column i that of eigenvalue i. The derivative is that for symmetric
// changes of a.
struct Eigh : MatrixOp<Eigh> {
  static constexpr std::string_view op_name = "linalg.eigh";
  bool vectors = true;
  auto fields() const { return std::tie(vectors); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP
};

// a (..., N, N), also complex64 -> eigenvalues (..., N) and (with `vectors`) V
// (..., N, N), column i that of eigenvalue i, both complex64.
struct Eig : MatrixOp<Eig> {
  static constexpr std::string_view op_name = "linalg.eig";
  bool vectors = true;
  auto fields() const { return std::tie(vectors); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP_VJP
};

}  // namespace treadle::linalg
