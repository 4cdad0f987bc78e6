#include "treadle/ops/linalg.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/factorize.h"
#include "treadle/ops/index.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/matrices.h"
#include "treadle/ops/solve.h"
#include "treadle/ops/sort.h"

namespace treadle::linalg {

namespace {

template <class T>
Arrays factors(const T& op, const array& a, StreamOrDevice s) {
  return record_all(make_op(op), {a}, resolve(s));
}
template <class T>
std::pair<array, array> pair_of(const T& op, const array& a, StreamOrDevice s) {
  Arrays f = factors(op, a, s);
  return {f[0], f[1]};
}

// Whether the upper triangle is meant.
bool is_upper(std::string_view op, const std::string& uplo) {
  if (uplo == "L" || uplo == "U") return uplo == "U";
  invalid(op, fmt::format("got UPLO '{}'; expected 'L' or 'U'.", uplo));
}

// The matrix whose lower triangle is the chosen one of a Hermitian a.
array with_lower(std::string_view op,
                 const array& a,
                 const std::string& uplo,
                 StreamOrDevice s) {
  if (!is_upper(op, uplo)) return a;
  check_matrices(op, a.spec(), true, true);
  array b = swapaxes(a, -1, -2, s);
  return is_complex(a.dtype()) ? conjugate(b, s) : b;
}

// The parity of the exchanges that Lu made, as 1 or -1.
array parity(const array& pivots, Dtype dtype) {
  array moved = not_equal(pivots, arange(pivots.shape(-1), uint32));
  array odd = remainder(sum(astype(moved, int32), -1), 2);
  return astype(subtract(1, multiply(2, odd)), dtype);
}

// (..., N, N) of ones where it is diagonal.
array diagonal_of(const array& a) { return diagonal(a, 0, -2, -1); }

array product_with_trace(const array& a, const array& b) {
  return sum(multiply(turned(a), b), Axes{-2, -1});
}

struct System {
  array a, b;  // of one dtype, equal batch axes before the last two
  bool vector;
};

// The checks of solve and solve_triangular; b as a matrix. The batch axes of a
// are left as they are when `broadcast_a` is false.
System system_of(std::string_view op,
                 const array& a,
                 const array& b,
                 StreamOrDevice s) {
  const Dtype d = promote_types(a.dtype(), b.dtype());
  auto wrong = [&](const char* what) {
    invalid(op,
            fmt::format("{}: got {} and {}; expected (..., N, N) and (N,) or "
                        "(..., N, K), float32 or float64.",
                        what,
                        to_string(a.spec()),
                        to_string(b.spec())));
  };
  if (d != float32 && d != float64) wrong("dtypes are not supported");
  if (a.ndim() < 2 || a.shape(-1) != a.shape(-2))
    wrong("the first argument is not square");
  if (b.ndim() < 1) wrong("the second argument is a scalar");
  System y{astype(a, d, s), astype(b, d, s), b.ndim() == 1};
  if (y.vector) y.b = expand_dims(y.b, -1, s);
  if (y.b.shape(-2) != a.shape(-1)) wrong("lengths differ");
  return y;
}

Shape batch_of(const array& x) {
  return Shape(x.shape().begin(), x.shape().end() - 2);
}

// x stretched to `batch`; its last `kept` axes stay.
array with_batch(const array& x, const Shape& batch, int kept) {
  Shape shape = batch;
  shape.append(x.shape().end() - kept, x.shape().end());
  return broadcast_to(x, shape);
}

}  // namespace

std::pair<array, array> qr(const array& a, StreamOrDevice s) {
  return pair_of(Qr{}, a, s);
}

Arrays svd(const array& a, bool compute_uv, StreamOrDevice s) {
  Svd op;
  op.parts = compute_uv ? Svd::Parts::whole : Svd::Parts::values;
  return factors(op, a, s);
}

array inv(const array& a, StreamOrDevice s) {
  return record(Inverse{}, {a}, resolve(s));
}

array tri_inv(const array& a, bool upper, StreamOrDevice s) {
  Inverse op;
  op.kind = upper ? Inverse::Kind::upper : Inverse::Kind::lower;
  return record(op, {a}, resolve(s));
}

array cholesky(const array& a, bool upper, StreamOrDevice s) {
  check_matrices(Cholesky::op_name, a.spec(), true);
  if (!upper) return record(Cholesky{}, {a}, resolve(s));
  array l = record(Cholesky{}, {swapaxes(a, -1, -2, s)}, resolve(s));
  return swapaxes(l, -1, -2, s);
}

array cholesky_inv(const array& a, bool upper, StreamOrDevice s) {
  check_matrices("linalg.cholesky_inv", a.spec(), true);
  array x = tri_inv(a, upper, s), turned = swapaxes(x, -1, -2, s);
  return upper ? matmul(x, turned, s) : matmul(turned, x, s);
}

// pinv ----------------------------------------------------------------------

Specs Pinv::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], false);
  return {matrices_like(in[0],
                        in[0].shape.back(),
                        in[0].shape[in[0].shape.size() - 2],
                        in[0].dtype)};
}

Arrays Pinv::expand(const Arrays& x) const {
  const int64_t m = x[0].shape(-2), n = x[0].shape(-1);
  if (m == 0 || n == 0) {
    Shape shape = x[0].shape();
    std::swap(shape.back(), shape[shape.size() - 2]);
    return {zeros(shape, x[0].dtype())};
  }
  Svd thin;
  thin.parts = Svd::Parts::thin;
  Arrays f = factors(thin, x[0], {});
  const double epsilon = x[0].dtype() == float64
                             ? std::numeric_limits<double>::epsilon()
                             : std::numeric_limits<float>::epsilon();
  const array cutoff =
      10. * double(std::max(m, n)) * epsilon * max(f[1], -1, true);
  const array counts = greater(f[1], cutoff);
  const array inverse = select(counts, divide(1, select(counts, f[1], 1)), 0);
  return {matmul(turned(f[2]) * expand_dims(inverse, -2), turned(f[0]))};
}

// dy = -y da y + y y^T da^T (1 - a y) + (1 - y a) da^T y^T y (Golub, Pereyra).
Arrays Pinv::jvp(const Arrays& x,
                 const Arrays& y,
                 const Arrays& t,
                 Argnums) const {
  if (t[0].null()) return {array()};
  const array &a = x[0], &p = y[0], &da = t[0];
  const array dat = turned(da), pt = turned(p);
  const array left = matmul(p, matmul(pt, dat));   // (n, m)
  const array right = matmul(matmul(dat, pt), p);  // (n, m)
  return {-matmul(matmul(p, da), p) + left - matmul(matmul(left, a), p) +
          right - matmul(p, matmul(a, right))};
}

Arrays Pinv::vjp(const Arrays& x,
                 const Arrays& y,
                 const Arrays& ct,
                 Argnums args) const {
  return vjp_by_transposition(*this, x, y, ct, args);
}

array pinv(const array& a, StreamOrDevice s) {
  return record(Pinv{}, {a}, resolve(s));
}

// lu ------------------------------------------------------------------------

Arrays lu(const array& a, StreamOrDevice s) {
  Arrays f = factors(Lu{}, a, s);
  const array& packed = f[0];
  const int64_t m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  auto corner = [&](int64_t rows, int64_t columns) {
    Shape stop = packed.shape();
    stop[stop.size() - 2] = rows;
    stop.back() = columns;
    return slice(packed, Shape(stop.size(), 0), stop, {}, s);
  };
  array l = add(
      tril(corner(m, k), -1, s), eye(int(m), int(k), 0, packed.dtype(), s), s);
  return {argsort(f[2], -1, s), l, triu(corner(k, n), 0, s)};
}

std::pair<array, array> lu_factor(const array& a, StreamOrDevice s) {
  return pair_of(Lu{}, a, s);
}

// solve ---------------------------------------------------------------------

array solve(const array& a, const array& b, StreamOrDevice s) {
  System y = system_of(LuSolve::op_name, a, b, s);
  // Factors first, so that a matrix that meets many right sides is factored
  // once.
  Arrays f = factors(Lu{}, y.a, s);
  Shape batch =
      broadcast_shapes(LuSolve::op_name, batch_of(y.a), batch_of(y.b));
  array x = record(LuSolve{},
                   {with_batch(y.a, batch, 2),
                    with_batch(f[0], batch, 2),
                    with_batch(f[2], batch, 1),
                    with_batch(y.b, batch, 2)},
                   resolve(s));
  return y.vector ? squeeze(x, -1, s) : x;
}

array solve_triangular(const array& a,
                       const array& b,
                       bool upper,
                       StreamOrDevice s) {
  System y = system_of(TriangularSolve::op_name, a, b, s);
  Shape batch =
      broadcast_shapes(TriangularSolve::op_name, batch_of(y.a), batch_of(y.b));
  TriangularSolve op;
  op.upper = upper;
  array x = record(
      op, {with_batch(y.a, batch, 2), with_batch(y.b, batch, 2)}, resolve(s));
  return y.vector ? squeeze(x, -1, s) : x;
}

// det -----------------------------------------------------------------------

Specs Det::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], true);
  Spec out = in[0];
  out.shape.pop_back();
  out.shape.pop_back();
  return {out};
}

Arrays Det::expand(const Arrays& x) const {
  Arrays f = factors(Lu{}, x[0], {});
  return {prod(diagonal_of(f[0]), -1) * parity(f[1], x[0].dtype())};
}

Arrays Det::jvp(const Arrays& x,
                const Arrays&,
                const Arrays& t,
                Argnums) const {
  if (t[0].null()) return {array()};
  return {product_with_trace(record(Adjugate{}, {x[0]}, resolve({})), t[0])};
}

Arrays Det::vjp(const Arrays& x,
                const Arrays& y,
                const Arrays& ct,
                Argnums args) const {
  return vjp_by_transposition(*this, x, y, ct, args);
}

Specs Slogdet::infer(std::span<const Spec> in) const {
  check_matrices(op_name, in[0], true);
  Spec out = in[0];
  out.shape.pop_back();
  out.shape.pop_back();
  return {out, out};
}

Arrays Slogdet::expand(const Arrays& x) const {
  Arrays f = factors(Lu{}, x[0], {});
  const array d = diagonal_of(f[0]);
  return {prod(sign(d), -1) * parity(f[1], x[0].dtype()), sum(log(abs(d)), -1)};
}

Arrays Slogdet::jvp(const Arrays& x,
                    const Arrays&,
                    const Arrays& t,
                    Argnums) const {
  if (t[0].null()) return {array(), array()};
  return {array(),
          product_with_trace(record(Inverse{}, {x[0]}, resolve({})), t[0])};
}

Arrays Slogdet::vjp(const Arrays& x,
                    const Arrays& y,
                    const Arrays& ct,
                    Argnums args) const {
  return vjp_by_transposition(*this, x, y, ct, args);
}

namespace {

// What det computes in; complex numbers are refused, as in MLX.
array for_determinant(const array& a, StreamOrDevice s) {
  if (is_half(a.dtype()) || !is_inexact(a.dtype())) {
    return astype(a, float32, s);
  }
  return a;
}
Dtype result_of_determinant(const array& a) {
  return is_half(a.dtype()) ? a.dtype() : at_least_float(a.dtype());
}

}  // namespace

array det(const array& a, StreamOrDevice s) {
  array y = record(Det{}, {for_determinant(a, s)}, resolve(s));
  return astype(y, result_of_determinant(a), s);
}

std::pair<array, array> slogdet(const array& a, StreamOrDevice s) {
  auto [sign, log] = pair_of(Slogdet{}, for_determinant(a, s), s);
  const Dtype d = result_of_determinant(a);
  return {astype(sign, d, s), astype(log, d, s)};
}

// cross ---------------------------------------------------------------------

array cross(const array& a, const array& b, int axis, StreamOrDevice s) {
  auto parts_of = [&](const array& x) {
    const int along = normalize_axis("linalg.cross", axis, x.shape().size());
    const int64_t n = x.shape(along);
    if (n != 2 && n != 3) {
      invalid("linalg.cross",
              fmt::format("got shapes {} and {}; expected length 2 or 3 on "
                          "axis {}.",
                          to_string(a.shape()),
                          to_string(b.shape()),
                          axis));
    }
    return split(x, int(n), along, s);
  };
  Arrays p = parts_of(a), q = parts_of(b);
  const Dtype d = promote_types(a.dtype(), b.dtype());
  // Null: a third component of 0.
  p.resize(3);
  q.resize(3);
  auto product = [&](size_t i, size_t j) {
    return p[i].null() || q[j].null()
               ? array()
               : multiply(astype(p[i], d, s), astype(q[j], d, s), s);
  };
  auto difference = [&](size_t i, size_t j) {
    array plus = product(i, j), minus = product(j, i);
    if (minus.null()) return plus;
    return plus.null() ? negative(minus, s) : subtract(plus, minus, s);
  };
  Arrays out{difference(1, 2), difference(2, 0), difference(0, 1)};
  for (array& x : out) {
    if (x.null()) x = zeros_like(out[2], s);
  }
  return concatenate(broadcast_arrays(out, s), axis, s);
}

// eigenvalues ---------------------------------------------------------------

std::pair<array, array> eig(const array& a, StreamOrDevice s) {
  return pair_of(Eig{}, a, s);
}

array eigvals(const array& a, StreamOrDevice s) {
  Eig op;
  op.vectors = false;
  return factors(op, a, s)[0];
}

std::pair<array, array> eigh(const array& a,
                             const std::string& UPLO,
                             StreamOrDevice s) {
  return pair_of(Eigh{}, with_lower("linalg.eigh", a, UPLO, s), s);
}

array eigvalsh(const array& a, const std::string& UPLO, StreamOrDevice s) {
  Eigh op;
  op.vectors = false;
  return factors(op, with_lower("linalg.eigvalsh", a, UPLO, s), s)[0];
}

}  // namespace treadle::linalg
