// Case rows of linear algebra. Factors are looked at through what they say of
// the matrix: signs of singular and eigenvectors are LAPACK's to choose.
#pragma once

#include <vector>

#include "tests/support/op_check.h"

namespace treadle::testing {

namespace cases {

inline array turned(const array& x) { return swapaxes(x, -1, -2); }
// The ops take float32 and float64.
inline array known(const array& x) {
  return is_half(x.dtype()) ? astype(x, float32) : x;
}
inline array one(const array& x) {
  return eye(int(x.shape(-1)), -1, 0, x.dtype());
}
// x, small, beside a diagonal 1, 2.5, 4, ...: well conditioned, with singular
// values and eigenvalues apart.
inline array apart(const array& x) {
  array v = known(x);
  const int m = int(v.shape(-2)), n = int(v.shape(-1));
  array d = astype(arange(m, int32), v.dtype()) * 1.5 + 1;
  return v * 0.2 + expand_dims(d, -1) * eye(m, n, 0, v.dtype());
}
inline array symmetric(const array& x) {
  array a = apart(x);
  return (a + turned(a)) * 0.5;
}
inline array positive(const array& x) {
  array a = apart(x);
  return matmul(a, turned(a)) + one(a);
}
inline array flat(const Arrays& x) {
  Arrays parts;
  for (const array& a : x) parts.push_back(flatten(a));
  return concatenate(parts);
}
inline array pair(const std::pair<array, array>& x) {
  return flat({x.first, x.second});
}

}  // namespace cases

inline std::vector<OpCase> factor_cases() {
  using namespace cases;
  using A = const Arrays&;
  auto rows = [](const array& x, int64_t begin, int64_t end) {
    Shape start(x.shape().size(), 0), stop = x.shape();
    start[start.size() - 2] = begin;
    stop[stop.size() - 2] = end;
    return slice(x, start, stop);
  };
  auto lower_upper = [](A f) { return flat({f[1], f[2]}); };
  // Functions of U S V^T, of each vector's squares, and of the space that the
  // further columns span: these are free to turn among themselves.
  auto of_svd = [=](A f) {
    const array &s = f[1], &vt = f[2], ut = turned(f[0]);
    const int64_t k = s.shape(-1);
    array left = turned(rows(ut, 0, k)), right = rows(vt, 0, k);
    auto projection = [=](const array& t) {
      array rest = rows(t, k, t.shape(-2));
      return matmul(turned(rest), rest);
    };
    array cubes = matmul(left * expand_dims(s * s * s, -2), right);
    return flat({cubes,
                 square(left),
                 square(right),
                 s,
                 projection(ut),
                 projection(vt)});
  };
  auto of_eigh = [](const std::pair<array, array>& f) {
    const auto& [w, v] = f;
    return flat({w, square(v), matmul(v * expand_dims(w * w, -2), turned(v))});
  };
  return {
      {"cholesky",
       [](A x) { return linalg::cholesky(positive(x[0])); },
       {{{2, 3, 3}}},
       32},
      {"cholesky_upper",
       [](A x) { return linalg::cholesky(positive(x[0]), true); },
       {{{4, 4}}},
       32},
      {"cholesky_inv",
       [](A x) {
         return linalg::cholesky_inv(linalg::cholesky(positive(x[0])));
       },
       {{{3, 3}}},
       32},
      {"cholesky_inv_upper",
       [](A x) { return linalg::cholesky_inv(apart(x[0]), true); },
       {{{3, 3}}},
       32},
      {"lu",
       [=](A x) { return lower_upper(linalg::lu(apart(x[0]))); },
       {{{2, 3, 3}}},
       32},
      {"lu_tall",
       [=](A x) { return lower_upper(linalg::lu(apart(x[0]))); },
       {{{4, 2}}},
       32},
      {"lu_wide",
       [=](A x) { return lower_upper(linalg::lu(apart(x[0]))); },
       {{{2, 4}}},
       32},
      {"lu_exchanged",
       [](A x) { return linalg::lu_factor(flip(apart(x[0]), 0)).first; },
       {{{4, 4}}},
       32},
      {"qr",
       [](A x) { return pair(linalg::qr(apart(x[0]))); },
       {{{2, 3, 3}}},
       32},
      {"qr_tall",
       [](A x) { return pair(linalg::qr(apart(x[0]))); },
       {{{4, 2}}},
       32},
      {"qr_wide",
       [](A x) { return pair(linalg::qr(apart(x[0]))); },
       {{{2, 4}}},
       32},
      {"svd",
       [=](A x) { return of_svd(linalg::svd(apart(x[0]))); },
       {{{2, 3, 3}}},
       64},
      {"svd_tall",
       [=](A x) { return of_svd(linalg::svd(apart(x[0]))); },
       {{{4, 2}}},
       64},
      {"svd_wide",
       [=](A x) { return of_svd(linalg::svd(apart(x[0]))); },
       {{{2, 3}}},
       64},
      {"svd_values",
       [](A x) { return linalg::svd(apart(x[0]), false)[0]; },
       {{{2, 3, 4}}},
       32},
      {"eigh",
       [=](A x) { return of_eigh(linalg::eigh(symmetric(x[0]))); },
       {{{2, 3, 3}}},
       64},
      {"eigh_upper",
       [=](A x) { return of_eigh(linalg::eigh(symmetric(x[0]), "U")); },
       {{{3, 3}}},
       64},
      {"eigvalsh",
       [](A x) { return linalg::eigvalsh(symmetric(x[0])); },
       {{{4, 4}}},
       32},
      {"eigvals",
       [](A x) { return sort(real(linalg::eigvals(symmetric(x[0])))); },
       {{{2, 4, 4}}},
       32,
       false},
      {"eig",
       [](A x) { return abs(linalg::eig(apart(x[0])).second); },
       {{{4, 4}}},
       64,
       false},
  };
}

inline std::vector<OpCase> system_cases() {
  using namespace cases;
  using A = const Arrays&;
  return {
      {"inv", [](A x) { return linalg::inv(apart(x[0])); }, {{{2, 3, 3}}}, 32},
      {"tri_inv",
       [](A x) { return linalg::tri_inv(apart(x[0])); },
       {{{3, 3}}},
       32},
      {"tri_inv_upper",
       [](A x) { return linalg::tri_inv(apart(x[0]), true); },
       {{{2, 3, 3}}},
       32},
      {"pinv_tall",
       [](A x) { return linalg::pinv(apart(x[0])); },
       {{{4, 2}}},
       64},
      {"pinv_wide",
       [](A x) { return linalg::pinv(apart(x[0])); },
       {{{2, 2, 3}}},
       64},
      {"pinv_of_less_rank",
       [](A x) {
         return linalg::pinv(matmul(apart(x[0]), turned(apart(x[1]))));
       },
       {{{3, 2}}, {{4, 2}}},
       64},
      {"solve",
       [](A x) { return linalg::solve(apart(x[0]), known(x[1])); },
       {{{2, 3, 3}}, {{2, 3, 2}}},
       32},
      {"solve_vector",
       [](A x) { return linalg::solve(apart(x[0]), known(x[1])); },
       {{{3, 3}}, {{3}}},
       32},
      {"solve_broadcast",
       [](A x) { return linalg::solve(apart(x[0]), known(x[1])); },
       {{{3, 3}}, {{2, 3, 2}}},
       32},
      {"solve_triangular",
       [](A x) { return linalg::solve_triangular(apart(x[0]), known(x[1])); },
       {{{2, 3, 3}}, {{3, 2}}},
       32},
      {"solve_triangular_upper",
       [](A x) {
         return linalg::solve_triangular(apart(x[0]), known(x[1]), true);
       },
       {{{3, 3}}, {{3}}},
       32},
      {"solve_triangular_turned",
       [](A x) {
         return linalg::solve_triangular(turned(apart(x[0])), known(x[1]));
       },
       {{{3, 3}}, {{3, 2}}},
       32},
      {"det", [](A x) { return linalg::det(apart(x[0])); }, {{{2, 3, 3}}}, 32},
      {"slogdet",
       [](A x) { return linalg::slogdet(apart(x[0])).second; },
       {{{2, 3, 3}}},
       32},
      {"cross",
       [](A x) { return linalg::cross(x[0], x[1]); },
       {{{4, 3}}, {{4, 3}}},
       32,
       true,
       true,
       true,
       1},
      {"cross_of_two",
       [](A x) { return linalg::cross(x[0], x[1], 0); },
       {{{2, 4}}, {{3, 4}}},
       32,
       true,
       true,
       true,
       1},
      {"norm_nuclear",
       [](A x) {
         return linalg::norm(apart(x[0]), "nuc", Axes{0, 2});
       },
       {{{2, 3, 4}}},
       32},
      {"norm_spectral",
       [](A x) { return linalg::norm(apart(x[0]), 2); },
       {{{3, 4}}},
       32},
      {"norm_smallest",
       [](A x) {
         return linalg::norm(apart(x[0]), -2, Axes{1, 0}, true);
       },
       {{{4, 3}}},
       32},
  };
}

}  // namespace treadle::testing
