// treadle.core.linalg.
#include "treadle/ops/linalg.h"

#include <string>
#include <utility>

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;

array norm_of(const array& a,
              nb::handle ord,
              const std::optional<AxisOrAxes>& axis,
              bool keepdims,
              const S& s) {
  std::optional<Axes> axes;
  if (axis) axes = axis->axes;
  if (nb::isinstance<nb::str>(ord)) {
    return linalg::norm(a, nb::cast<std::string>(ord), axes, keepdims, s);
  }
  if (!ord.is_none()) {
    return linalg::norm(a, nb::cast<double>(ord), axes, keepdims, s);
  }
  return linalg::norm(a, axes ? AxisArg(*axes) : AxisArg(), keepdims, s);
}

nb::tuple tuple_of(const Arrays& x) {
  nb::list out;
  for (const array& a : x) out.append(wrap(a));
  return nb::tuple(out);
}
nb::tuple tuple_of(const std::pair<array, array>& x) {
  return nb::make_tuple(wrap(x.first), wrap(x.second));
}

constexpr auto kA = "a";

void bind(nb::module_& m,
          const char* name,
          array (*f)(const array&, S),
          const char* doc) {
  m.def(
      name,
      [f](const array& a, const S& s) { return wrap(f(a, s)); },
      nb::arg(kA),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      doc);
}

void bind(nb::module_& m,
          const char* name,
          std::pair<array, array> (*f)(const array&, S),
          const char* doc) {
  m.def(
      name,
      [f](const array& a, const S& s) { return tuple_of(f(a, s)); },
      nb::arg(kA),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      doc);
}

// With an argument after the matrix: upper or UPLO.
template <class R, class P>
void bind_with(nb::module_& m,
               const char* name,
               R (*f)(const array&, P, S),
               const char* parameter,
               std::decay_t<P> preset,
               const char* doc) {
  m.def(
      name,
      [f](const array& a, const std::decay_t<P>& p, const S& s) {
        if constexpr (std::is_same_v<R, array>) {
          return wrap(f(a, p, s));
        } else {
          return tuple_of(f(a, p, s));
        }
      },
      nb::arg(kA),
      nb::arg(parameter) = preset,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      doc);
}

void bind_factors(nb::module_& m) {
  bind(m,
       "qr",
       &linalg::qr,
       "Q (..., M, K) with orthonormal columns and R (..., K, N), upper "
       "triangular, with a = Q R; K = min(M, N).");
  m.def(
      "svd",
      [](const array& a, bool compute_uv, const S& s) -> nb::object {
        Arrays y = linalg::svd(a, compute_uv, s);
        if (!compute_uv) return wrap(y[0]);
        return tuple_of(y);
      },
      nb::arg(kA),
      nb::arg("compute_uv") = true,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "U (..., M, M), S (..., K), descending, and Vt (..., N, N) with a = U "
      "diag(S) Vt; without compute_uv the singular values S alone.");
  bind_with(
      m,
      "cholesky",
      &linalg::cholesky,
      "upper",
      false,
      "The lower triangular L with L L^T = a, of which the lower triangle "
      "is read; upper: U with U^T U = a, of which the upper one is.");
  bind_with(m,
            "cholesky_inv",
            &linalg::cholesky_inv,
            "upper",
            false,
            "The inverse of the matrix whose factor by cholesky is a.");
  m.def(
      "lu",
      [](const array& a, const S& s) { return tuple_of(linalg::lu(a, s)); },
      nb::arg(kA),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "P (..., M), L (..., M, K) and U (..., K, N): row i of a is row P[i] of "
      "L, times U.");
  bind(m,
       "lu_factor",
       &linalg::lu_factor,
       "L and U in one matrix, and the rows that each row was exchanged with.");
}

void bind_eigenvalues(nb::module_& m) {
  bind(m,
       "eig",
       &linalg::eig,
       "Eigenvalues (..., N) and normalised eigenvectors, the columns of (..., "
       "N, N); complex64.");
  bind(m, "eigvals", &linalg::eigvals, "Eigenvalues (..., N), complex64.");
  const char* both =
      "Eigenvalues, ascending, and eigenvectors, the columns, of a symmetric "
      "or Hermitian matrix given by its lower ('L') or upper ('U') triangle.";
  bind_with(m, "eigh", &linalg::eigh, "UPLO", "L", both);
  bind_with(m,
            "eigvalsh",
            &linalg::eigvalsh,
            "UPLO",
            "L",
            "Eigenvalues, ascending, of a symmetric or Hermitian matrix given "
            "by its lower ('L') or upper ('U') triangle.");
}

void bind_systems(nb::module_& m) {
  bind(m, "inv", &linalg::inv, "The inverse of square matrices.");
  bind_with(m,
            "tri_inv",
            &linalg::tri_inv,
            "upper",
            false,
            "The inverse of lower or upper triangular matrices.");
  bind(m,
       "pinv",
       &linalg::pinv,
       "The pseudo-inverse: singular values below 10 max(M, N) epsilon times "
       "the largest count as 0.");
  bind(m,
       "det",
       &linalg::det,
       "The determinant; of integers and half types computed in float32.");
  bind(m,
       "slogdet",
       &linalg::slogdet,
       "Sign and logarithm of the magnitude of the determinant; 0 and -inf for "
       "singular matrices.");
  m.def(
      "solve",
      [](const array& a, const array& b, const S& s) {
        return wrap(linalg::solve(a, b, s));
      },
      nb::arg(kA),
      nb::arg("b"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "x with a x = b: a (..., N, N), b (N) or (..., N, K).");
  m.def(
      "solve_triangular",
      [](const array& a, const array& b, bool upper, const S& s) {
        return wrap(linalg::solve_triangular(a, b, upper, s));
      },
      nb::arg(kA),
      nb::arg("b"),
      nb::kw_only(),
      nb::arg("upper") = false,
      nb::arg("stream") = nb::none(),
      "x with a x = b and a lower or upper triangular: a (..., N, N), b (N) or "
      "(..., N, K).");
}

}  // namespace

void bind_linalg(nb::module_& core) {
  nb::module_ m = core.def_submodule("linalg", "Linear algebra.");
  bind_factors(m);
  bind_eigenvalues(m);
  bind_systems(m);
  m.def(
      "cross",
      [](const array& a, const array& b, int axis, const S& s) {
        return wrap(linalg::cross(a, b, axis, s));
      },
      nb::arg(kA),
      nb::arg("b"),
      nb::arg("axis") = -1,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "Cross products along an axis of length 3, or 2 with a third component "
      "of 0.");
  m.def(
      "norm",
      [](const array& a,
         nb::object ord,
         const std::optional<AxisOrAxes>& axis,
         bool keepdims,
         const S& s) { return wrap(norm_of(a, ord, axis, keepdims, s)); },
      nb::arg(kA),
      nb::arg("ord") = nb::none(),
      nb::arg("axis") = nb::none(),
      nb::arg("keepdims") = false,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "The norm of vectors (one axis) or matrices (two): None or 'fro' the "
      "square root of the sum of squares, 'nuc' the sum of the singular "
      "values, else of an order.");
  core.attr("matrix_norm") = m.attr("norm");
}

}  // namespace treadle::python
