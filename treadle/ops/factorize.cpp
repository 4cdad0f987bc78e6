// Each op's tangents are written once; its cotangents are the transpose of that
// linear map (vjp_by_transposition).
#include "treadle/ops/factorize.h"

#include <algorithm>

#include "treadle/base/error.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/matrices.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/reinterpret.h"
#include "treadle/ops/solve.h"

namespace treadle::linalg {

namespace {

// The transpose, of complex matrices the conjugate one.
array adjoint(const array& x) {
  return is_complex(x.dtype()) ? conjugate(turned(x)) : turned(x);
}
array symmetrized(const array& x) { return 0.5 * (x + adjoint(x)); }
array real_part(const array& x) { return is_complex(x.dtype()) ? real(x) : x; }

// x with a x = b and, from the right, with x a = b; a triangular.
array left_solved(const array& a,
                  const array& b,
                  bool upper,
                  bool unit = false) {
  TriangularSolve op;
  op.upper = upper;
  op.unit = unit;
  return record(op, {a, b}, resolve({}));
}
array right_solved(const array& a,
                   const array& b,
                   bool upper,
                   bool unit = false) {
  return turned(left_solved(turned(a), turned(b), !upper, unit));
}

// Rows or columns [begin, end).
array part(const array& x, int axis, int64_t begin, int64_t end) {
  Shape start(x.shape().size(), 0), stop = x.shape();
  const size_t a = x.shape().size() - size_t(-axis);
  start[a] = begin;
  stop[a] = end;
  return slice(x, start, stop);
}
array columns(const array& x, int64_t begin, int64_t end) {
  return part(x, -1, begin, end);
}

// x with zeros behind, to so many rows and columns.
array padded(const array& x, int64_t rows, int64_t columns) {
  if (x.shape(-2) == rows && x.shape(-1) == columns) return x;
  Shape low(x.shape().size(), 0), high = low;
  high[high.size() - 2] = rows - x.shape(-2);
  high.back() = columns - x.shape(-1);
  return pad(x, low, high);
}

array identity_like(const array& x) {
  return eye(int(x.shape(-1)), -1, 0, x.dtype());
}

// 1 / x beside the diagonal, on which x is 0. Infinite where two values are
// equal: vectors of theirs are not determined, and a derivative that needs them
// becomes NaN.
array reciprocal_beside_diagonal(const array& x) {
  const array one = identity_like(x);
  return divide(1, x + one) - one;
}

// (..., N) as rows and as columns of a matrix.
array along_columns(const array& v) { return expand_dims(v, -2); }
array along_rows(const array& v) { return expand_dims(v, -1); }

// Of complex matrices, by that of the real matrix ((re, -im), (im, re)).
array inverse_of_complex(const array& x) {
  const array re = real(x), im = imag(x);
  const array whole =
      record(Inverse{},
             {concatenate(
                 {concatenate({re, -im}, -1), concatenate({im, re}, -1)}, -2)},
             resolve({}));
  const int64_t n = x.shape(-1);
  const array left = columns(whole, 0, n);
  return astype(part(left, -2, 0, n), complex64) +
         array(complex64_t(0, 1)) * astype(part(left, -2, n, 2 * n), complex64);
}

}  // namespace

// cholesky ------------------------------------------------------------------

Specs Cholesky::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], true);
  return {in[0]};
}

// With S = L^-1 da L^-T: dL = L (lower triangle of S, its diagonal halved).
Arrays Cholesky::jvp(const Arrays&,
                     const Arrays& y,
                     const Arrays& t,
                     Argnums) const {
  if (t[0].null()) return {array()};
  const array& l = y[0];
  array s =
      right_solved(turned(l), left_solved(l, symmetrized(t[0]), false), true);
  array half = tril(s, -1) + 0.5 * (s * identity_like(s));
  return {matmul(l, half)};
}

// lu ------------------------------------------------------------------------

Specs Lu::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], false);
  const int64_t m = in[0].shape[in[0].shape.size() - 2];
  const int64_t n = in[0].shape.back();
  return {in[0],
          vectors_like(in[0], std::min(m, n), uint32),
          vectors_like(in[0], m, uint32)};
}

// With L and U made square and S = L^-1 (P da) U^-1: dL = L (strict lower
// triangle of S), dU = (upper triangle of S) U.
Arrays Lu::jvp(const Arrays&, const Arrays& y, const Arrays& t, Argnums) const {
  if (t[0].null()) return {array(), array(), array()};
  const int64_t m = y[0].shape(-2), n = y[0].shape(-1);
  array l = padded(y[0], m, std::max(m, n));
  l = m < n ? columns(l, 0, m) : l;
  l = tril(l, -1) + identity_like(l);
  array u = triu(padded(y[0], std::max(m, n), n));
  u = m > n ? part(u, -2, 0, n) : u;
  if (m < n) {
    // The rows that U lacks are those of the identity.
    array rows = arange(n, int32);
    u = u + select(greater_equal(rows, m), identity_like(u), 0);
  }
  array moved =
      take_along_axis(t[0], broadcast_to(along_rows(y[2]), t[0].shape()), -2);
  array s = right_solved(u, left_solved(l, moved, false, true), true);
  return {matmul(l, tril(s, -1)) + matmul(triu(s), u), array(), array()};
}

// qr ------------------------------------------------------------------------

Specs Qr::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], false);
  const int64_t m = in[0].shape[in[0].shape.size() - 2];
  const int64_t n = in[0].shape.back(), k = std::min(m, n);
  return {matrices_like(in[0], m, k, in[0].dtype),
          matrices_like(in[0], k, n, in[0].dtype)};
}

// With Z = da R^-1, C = Q^T Z and the skew matrix W of C's strict lower
// triangle: dQ = Q (W - C) + Z, dR = (C - W) R. Of a wide matrix this holds for
// the first M columns, and dR of the others follows from R = Q^T a.
Arrays Qr::jvp(const Arrays& x,
               const Arrays& y,
               const Arrays& t,
               Argnums) const {
  if (t[0].null()) return {array(), array()};
  const array &q = y[0], &r = y[1];
  const int64_t k = q.shape(-1), n = r.shape(-1);
  const bool wide = n > k;
  const array r1 = wide ? columns(r, 0, k) : r;
  const array z = right_solved(r1, wide ? columns(t[0], 0, k) : t[0], true);
  const array c = matmul(turned(q), z), low = tril(c, -1);
  const array w = low - turned(low);
  const array dq = matmul(q, w - c) + z;
  array dr = matmul(c - w, r1);
  if (wide) {
    array rest = matmul(turned(dq), columns(x[0], k, n)) +
                 matmul(turned(q), columns(t[0], k, n));
    dr = concatenate({dr, rest}, -1);
  }
  return {dq, dr};
}

// svd -----------------------------------------------------------------------

Specs Svd::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], false, true);
  const int64_t m = in[0].shape[in[0].shape.size() - 2];
  const int64_t n = in[0].shape.back(), k = std::min(m, n);
  const Dtype d = in[0].dtype;
  const Spec s = vectors_like(in[0], k, d == complex64 ? float32 : d);
  switch (parts) {
    case Parts::whole:
      return {matrices_like(in[0], m, m, d), s, matrices_like(in[0], n, n, d)};
    case Parts::thin:
      return {matrices_like(in[0], m, k, d), s, matrices_like(in[0], k, n, d)};
    default:
      return {s};
  }
}

// With P = U^T da V and F_ij = 1 / (s_j^2 - s_i^2): dS = diag P, dU = U (F (P S
// + S P^T)), dV = V (F (S P + P^T S)), and what da moves out of the space of
// the K columns, over S. Further columns of a whole U turn against the first K
// as much as those turn towards them, and not among themselves.
Arrays Svd::jvp(const Arrays& x,
                const Arrays& y,
                const Arrays& t,
                Argnums) const {
  if (t[0].null()) return Arrays(y.size());
  Arrays f = y;
  if (parts == Parts::values) {
    Svd thin;
    thin.parts = Parts::thin;
    f = record_all(make_op(thin), {x[0]}, resolve({}));
  }
  const int64_t m = x[0].shape(-2), n = x[0].shape(-1), k = std::min(m, n);
  const array all_u = f[0], s = f[1], all_v = adjoint(f[2]);
  const array u = columns(all_u, 0, k), v = columns(all_v, 0, k);
  const array right = matmul(t[0], v);  // (m, k)
  const array p = matmul(adjoint(u), right);
  const array ds = real_part(diagonal(p, 0, -2, -1));
  if (parts == Parts::values) return {ds};

  const array si = along_rows(s), sj = along_columns(s);
  const array gaps = reciprocal_beside_diagonal((sj - si) * (sj + si));
  const array over_s = divide(1, sj), pt = adjoint(p);
  array turn_of_u = gaps * (p * sj + si * pt);
  if (is_complex(p.dtype())) {
    // The phase that a pair of vectors has in common is free: u takes it all.
    turn_of_u = turn_of_u + 0.5 * (p - pt) * identity_like(p) * over_s;
  }
  array du = matmul(u, turn_of_u);
  array dv = matmul(v, gaps * (si * p + pt * sj));
  // (columns, outside): what is new in `moved`, and the turn of the others.
  auto leave = [&](array* d,
                   const array& in,
                   const array& all,
                   const array& moved,
                   const array& inside) {
    if (all.shape(-2) == k) return;
    *d = *d + (moved - matmul(in, inside)) * over_s;
    if (all.shape(-1) == k) return;
    const array others = columns(all, k, all.shape(-1));
    const array turn = matmul(adjoint(others), moved) * over_s;
    *d = concatenate({*d, -matmul(in, adjoint(turn))}, -1);
  };
  leave(&du, u, all_u, right, p);
  leave(&dv, v, all_v, matmul(adjoint(t[0]), u), pt);
  return {du, ds, adjoint(dv)};
}

// eigh ----------------------------------------------------------------------

Specs Eigh::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], true, true);
  const Dtype d = in[0].dtype;
  const Spec w =
      vectors_like(in[0], in[0].shape.back(), d == complex64 ? float32 : d);
  return vectors ? Specs{w, in[0]} : Specs{w};
}

// With P = V^T da V and F_ij = 1 / (w_j - w_i): dw = diag P, dV = V (F P).
Arrays Eigh::jvp(const Arrays& x,
                 const Arrays& y,
                 const Arrays& t,
                 Argnums) const {
  if (t[0].null()) return Arrays(y.size());
  Arrays f = y;
  if (!vectors) f = record_all(make_op(Eigh()), {x[0]}, resolve({}));
  const array &w = f[0], &v = f[1];
  const array p = matmul(adjoint(v), matmul(symmetrized(t[0]), v));
  const array dw = real_part(diagonal(p, 0, -2, -1));
  if (!vectors) return {dw};
  const array gaps =
      reciprocal_beside_diagonal(along_columns(w) - along_rows(w));
  return {dw, matmul(v, gaps * p)};
}

// eig -----------------------------------------------------------------------

Specs Eig::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], true, true);
  const Spec w = vectors_like(in[0], in[0].shape.back(), complex64);
  return vectors ? Specs{w, Spec{in[0].shape, complex64}} : Specs{w};
}

// With P = V^-1 da V and F_ij = 1 / (w_j - w_i): dw = diag P, dV = V (F P) less
// what would change the vectors' length.
Arrays Eig::jvp(const Arrays& x,
                const Arrays& y,
                const Arrays& t,
                Argnums) const {
  if (t[0].null()) return Arrays(y.size());
  Arrays f = y;
  if (!vectors) f = record_all(make_op(Eig()), {x[0]}, resolve({}));
  const array &w = f[0], &v = f[1];
  const array p =
      matmul(inverse_of_complex(v), matmul(astype(t[0], complex64), v));
  const array dw = diagonal(p, 0, -2, -1);
  if (!vectors) return {dw};
  const array gaps =
      reciprocal_beside_diagonal(along_columns(w) - along_rows(w));
  const array dv = matmul(v, gaps * p);
  const array longer = sum(real(conjugate(v) * dv), Axes{-2}, true);
  return {dw, dv - v * astype(longer, complex64)};
}

Arrays Eig::vjp(const Arrays& x,
                const Arrays& y,
                const Arrays& ct,
                Argnums args) const {
  return vjp_by_transposition(*this, x, y, ct, args);
}

}  // namespace treadle::linalg
