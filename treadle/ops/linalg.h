// Linear algebra over the last two axes: matrices (..., M, N) of float32 or
// float64, and of complex64 where it says so. MLX's names, defaults and
// results. A matrix that has no result (singular, not positive definite, NaN
// where an iteration has to converge) throws std::runtime_error when it is
// computed. Derivatives exist unless it says otherwise.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/reduce.h"

namespace treadle::linalg {

#define TREADLE_TANGENTS                                                       \
  Specs infer(std::span<const Spec> in) const override;                        \
  Arrays expand(const Arrays& x) const override;                               \
  Arrays jvp(const Arrays& x, const Arrays& y, const Arrays& t, Argnums args)  \
      const override;                                                          \
  Arrays vjp(const Arrays& x, const Arrays& y, const Arrays& ct, Argnums args) \
      const override;

// Composites whose derivatives are better than those of what they are made of.
// a (..., N, N) -> det (...): tr(adj(a) da), also of singular matrices.
struct Det : Composite<Det> {
  static constexpr std::string_view op_name = "linalg.det";
  TREADLE_TANGENTS
};
// a (..., N, N) -> sign (...), log |det| (...): tr(da / a).
struct Slogdet : Composite<Slogdet> {
  static constexpr std::string_view op_name = "linalg.slogdet";
  TREADLE_TANGENTS
};
// a (..., M, N) -> (..., N, M): that of a matrix which keeps its rank.
struct Pinv : Composite<Pinv> {
  static constexpr std::string_view op_name = "linalg.pinv";
  TREADLE_TANGENTS
};

#undef TREADLE_TANGENTS

// Q (..., M, K), R (..., K, N) with a = Q R, K = min(M, N).
std::pair<array, array> qr(const array& a, StreamOrDevice s = {});

// U (..., M, M), S (..., K), V^H (..., N, N) with a = U S V^H, S descending; S
// alone without compute_uv. Also complex64, without derivative. Derivatives of
// U and V assume that no two singular values are equal and none is 0.
Arrays svd(const array& a, bool compute_uv = true, StreamOrDevice s = {});

// The inverse; of the lower or upper triangle.
array inv(const array& a, StreamOrDevice s = {});
array tri_inv(const array& a, bool upper = false, StreamOrDevice s = {});

// L with L L^T = a, of which the lower triangle is read; or U with U^T U = a,
// of which the upper one is.
array cholesky(const array& a, bool upper = false, StreamOrDevice s = {});
// The inverse of the matrix whose factor by cholesky is a.
array cholesky_inv(const array& a, bool upper = false, StreamOrDevice s = {});

// The pseudo-inverse (..., N, M): singular values below 10 max(M, N) epsilon
// times the largest count as 0.
array pinv(const array& a, StreamOrDevice s = {});

// P (..., M), uint32, L (..., M, K) and U (..., K, N): row i of a is row P[i]
// of L, times U.
Arrays lu(const array& a, StreamOrDevice s = {});
// L and U in one matrix (..., M, N), and the rows (..., K), uint32, that each
// row was exchanged with.
std::pair<array, array> lu_factor(const array& a, StreamOrDevice s = {});

// x with a x = b: a (..., N, N), b (N) or (..., N, K), batch axes broadcast.
array solve(const array& a, const array& b, StreamOrDevice s = {});
// The same with a triangular; what lies beyond the triangle is not read.
array solve_triangular(const array& a,
                       const array& b,
                       bool upper = false,
                       StreamOrDevice s = {});

// The product of the eigenvalues (...); integers and half types are computed in
// float32. Sign and logarithm of its magnitude, 0 and -inf when a is singular.
array det(const array& a, StreamOrDevice s = {});
std::pair<array, array> slogdet(const array& a, StreamOrDevice s = {});

// The vectors orthogonal to a and b along an axis of length 3; of length 2, the
// third component is 0.
array cross(const array& a,
            const array& b,
            int axis = -1,
            StreamOrDevice s = {});

// Eigenvalues (..., N) and normalised eigenvectors, the columns of (..., N, N),
// both complex64. Also of complex64. Without derivative.
std::pair<array, array> eig(const array& a, StreamOrDevice s = {});
array eigvals(const array& a, StreamOrDevice s = {});
// Of a symmetric matrix, or a Hermitian one of complex64 (without derivative),
// given by its lower ("L") or upper ("U") triangle: real, ascending.
// Derivatives of the vectors assume that no two eigenvalues are equal.
std::pair<array, array> eigh(const array& a,
                             const std::string& UPLO = "L",
                             StreamOrDevice s = {});
array eigvalsh(const array& a,
               const std::string& UPLO = "L",
               StreamOrDevice s = {});

// Of all elements, or over one axis (vectors) or two (matrices): the square
// root of the sum of squares.
array norm(const array& x,
           const AxisArg& axis = {},
           bool keepdims = false,
           StreamOrDevice s = {});
// The norm of order `ord`. Vectors: sum of |x|^p to the power 1/p; the largest
// (inf) or smallest (-inf) |x|; the number of elements that are not 0 (0).
// Matrices: the largest (1) or smallest (-1) sum of |x| down a column, the same
// along a row (inf, -inf), the largest (2) or smallest (-2) singular value.
// Without axes x has one or two. complex64 gives complex64.
array norm(const array& x,
           double ord,
           const std::optional<Axes>& axes = {},
           bool keepdims = false,
           StreamOrDevice s = {});
// Of matrices: "fro" or "f", the square root of the sum of squares; "nuc", the
// sum of the singular values.
array norm(const array& x,
           const std::string& ord,
           const std::optional<Axes>& axes = {},
           bool keepdims = false,
           StreamOrDevice s = {});

}  // namespace treadle::linalg
