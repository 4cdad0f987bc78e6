// Linear algebra: how near the factors are to their matrices, what singular and
// empty ones give, and gradients at matrices where a formula must not divide.
#include <random>

#include <gtest/gtest.h>

#include "treadle/runtime/explain.h"
#include "treadle/treadle.h"

#include "tests/support/tolerance.h"

namespace treadle::testing {
namespace {

using linalg::cholesky;

array random_matrix(const Shape& shape, Dtype dtype, int seed = 1) {
  std::mt19937 rng{uint32_t(seed)};
  std::normal_distribution<double> normal;
  std::vector<double> v(size_t(size_of(shape)));
  for (double& x : v) x = normal(rng);
  return astype(array::from(v.data(), shape), dtype);
}

array turned(const array& x) { return swapaxes(x, -1, -2); }
array one(const array& x) { return eye(int(x.shape(-1)), -1, 0, x.dtype()); }

// |a - b| in the Frobenius norm, in units of epsilon |scale| sqrt(N): backward
// errors of factorisations are below one of those, of iterations below two.
double distance(const array& a, const array& b, const array& scale) {
  EXPECT_EQ(a.shape(), b.shape());
  auto norm = [](const array& x) {
    return linalg::norm(astype(x, float64)).item<double>();
  };
  const double n = double(std::max(scale.shape(-1), scale.shape(-2)));
  return norm(astype(a, float64) - astype(b, float64)) /
         (epsilon_of(a.dtype()) * norm(scale) * std::sqrt(n));
}

class Backward : public ::testing::TestWithParam<std::tuple<Dtype, Shape>> {
 protected:
  Dtype dtype = std::get<0>(GetParam());
  Shape shape = std::get<1>(GetParam());
  array a = random_matrix(shape, dtype);
  int64_t k = std::min(shape.back(), shape[shape.size() - 2]);
};

TEST_P(Backward, QrGivesItsMatrixAndOrthonormalColumns) {
  auto [q, r] = linalg::qr(a);
  EXPECT_LT(distance(matmul(q, r), a, a), 1);
  EXPECT_LT(distance(matmul(turned(q), q),
                     broadcast_to(one(q.shape(-1) ? matmul(turned(q), q) : r),
                                  matmul(turned(q), q).shape()),
                     q),
            1);
  EXPECT_TRUE(array_equal(triu(r), r).item<bool>());
}

TEST_P(Backward, SvdGivesItsMatrixAndOrthonormalFactors) {
  Arrays f = linalg::svd(a);
  auto first = [&](const array& x) {
    Shape stop = x.shape();
    stop.back() = k;
    return slice(x, Shape(stop.size(), 0), stop);
  };
  array u = first(f[0]), v = first(turned(f[2]));
  EXPECT_LT(distance(matmul(u * expand_dims(f[1], -2), turned(v)), a, a), 2);
  for (const array& x : {f[0], f[2]}) {
    array square = matmul(turned(x), x);
    EXPECT_LT(distance(square, broadcast_to(one(x), square.shape()), x), 2);
  }
  EXPECT_LT(
      distance(
          expand_dims(linalg::svd(a, false)[0], -1), expand_dims(f[1], -1), a),
      1);
}

TEST_P(Backward, LuGivesItsMatrix) {
  Arrays f = linalg::lu(a);
  array rows = broadcast_to(expand_dims(f[0], -1), [&] {
    Shape s = a.shape();
    s.back() = k;
    return s;
  }());
  EXPECT_LT(distance(matmul(take_along_axis(f[1], rows, -2), f[2]), a, a), 1);
}

TEST_P(Backward, PinvSolvesItsEquation) {
  array p = linalg::pinv(a);
  EXPECT_LT(distance(matmul(matmul(a, p), a), a, a), 4);
}

class BackwardSquare : public Backward {};

TEST_P(BackwardSquare, SystemsAndInversesAndEigenvectors) {
  // Well conditioned, so that forward errors are small too.
  array b = a + one(a) * 4. * std::sqrt(double(shape.back()));
  array x = linalg::inv(b), identity = broadcast_to(one(b), b.shape());
  EXPECT_LT(distance(matmul(b, x), identity, identity), 1);
  EXPECT_LT(distance(matmul(x, b), identity, identity), 1);
  EXPECT_LT(distance(matmul(b, linalg::solve(b, a)), a, a), 1);
  array t = tril(b);
  EXPECT_LT(distance(matmul(t, linalg::solve_triangular(b, a)), a, a), 1);
  EXPECT_LT(
      distance(matmul(turned(t), linalg::solve_triangular(turned(b), a, true)),
               a,
               a),
      1);
  EXPECT_LT(distance(matmul(t, linalg::tri_inv(b)), identity, identity), 1);

  array positive = matmul(a, turned(a)) + one(a);
  array l = cholesky(positive), u = cholesky(positive, true);
  EXPECT_LT(distance(matmul(l, turned(l)), positive, positive), 1);
  EXPECT_LT(distance(matmul(turned(u), u), positive, positive), 1);
  EXPECT_TRUE(array_equal(tril(l), l).item<bool>());

  auto [w, v] = linalg::eigh(positive);
  EXPECT_LT(distance(matmul(positive, v), v * expand_dims(w, -2), positive), 2);
  EXPECT_LT(distance(matmul(turned(v), v), identity, v), 2);
  EXPECT_LT(distance(expand_dims(linalg::eigvalsh(positive), -1),
                     expand_dims(w, -1),
                     positive),
            2);
}

std::string name(
    const ::testing::TestParamInfo<std::tuple<Dtype, Shape>>& info) {
  std::string s(name_of(std::get<0>(info.param)));
  for (int64_t d : std::get<1>(info.param)) s += "_" + std::to_string(d);
  return s;
}

INSTANTIATE_TEST_SUITE_P(Sizes,
                         Backward,
                         ::testing::Combine(::testing::Values(float32, float64),
                                            ::testing::Values(Shape{1, 1},
                                                              Shape{3, 3},
                                                              Shape{5, 4, 4},
                                                              Shape{2, 3, 7, 2},
                                                              Shape{3, 2, 9},
                                                              Shape{70, 70},
                                                              Shape{65, 130},
                                                              Shape{130, 65})),
                         name);

INSTANTIATE_TEST_SUITE_P(Sizes,
                         BackwardSquare,
                         ::testing::Combine(::testing::Values(float32, float64),
                                            ::testing::Values(Shape{1, 1},
                                                              Shape{3, 3},
                                                              Shape{5, 4, 4},
                                                              Shape{2, 3, 7, 7},
                                                              Shape{130, 130})),
                         name);

TEST(Linalg, EigenvectorsOfAnyMatrix) {
  // Eigenvalues come as complex64; a v = v w in complex numbers, to N epsilon
  // |a|, where |a| is about N.
  const float bound = 12 * 12 * 1.2e-7f;
  for (Dtype d : {float32, float64, complex64}) {
    array a = random_matrix({2, 12, 12}, d);
    auto [w, v] = linalg::eig(a);
    EXPECT_EQ(w.dtype(), complex64);
    array left = matmul(astype(a, complex64), v),
          right = v * expand_dims(w, -2);
    EXPECT_LT(max(abs(left - right)).item<float>(), bound);
    EXPECT_LT(max(abs(sum(linalg::eigvals(a), -1) -
                      astype(trace(a, 0, -2, -1), complex64)))
                  .item<float>(),
              bound);
  }
}

TEST(Linalg, HermitianMatricesAndComplexSingularValues) {
  array x = random_matrix({5, 5}, float32, 2),
        y = random_matrix({5, 5}, float32, 3);
  array a =
      astype(x, complex64) + astype(y, complex64) * array(complex64_t(0, 1));
  array h = a + conjugate(turned(a));
  for (const char* uplo : {"L", "U"}) {
    auto [w, v] = linalg::eigh(h, uplo);
    EXPECT_EQ(w.dtype(), float32);
    array right = v * astype(expand_dims(w, -2), complex64);
    EXPECT_LT(max(abs(matmul(h, v) - right)).item<float>(), 2e-5);
  }
  Arrays f = linalg::svd(a);
  array middle = astype(expand_dims(f[1], -2), complex64);
  EXPECT_LT(max(abs(matmul(f[0] * middle, f[2]) - a)).item<float>(), 1e-5);
}

TEST(Linalg, MatricesWithoutElements) {
  for (const Shape& s : {Shape{0, 0}, Shape{2, 0, 0}, Shape{0, 3, 3}}) {
    array a = zeros(s);
    EXPECT_EQ(linalg::inv(a).to_vector<float>().size(), 0u);
    EXPECT_EQ(cholesky(a).to_vector<float>().size(), 0u);
    EXPECT_EQ(linalg::eigh(a).second.to_vector<float>().size(), 0u);
    EXPECT_EQ(linalg::eigvals(a).to_vector<float>().size(), 0u);
    array d = linalg::det(a);
    EXPECT_TRUE(array_equal(d, ones_like(d)).item<bool>());
    EXPECT_EQ(linalg::solve(a, a).to_vector<float>().size(), 0u);
    EXPECT_EQ(linalg::solve_triangular(a, a).to_vector<float>().size(), 0u);
  }
  Arrays f = linalg::svd(zeros({3, 0}));
  EXPECT_TRUE(array_equal(f[0], eye(3)).item<bool>());
  EXPECT_EQ(f[1].shape(), (Shape{0}));
  EXPECT_EQ(linalg::pinv(zeros({0, 3})).shape(), (Shape{3, 0}));
  EXPECT_EQ(linalg::qr(zeros({3, 0})).first.shape(), (Shape{3, 0}));
  EXPECT_EQ(linalg::lu(zeros({3, 0}))[0].to_vector<int>(),
            (std::vector<int>{0, 1, 2}));
}

TEST(Linalg, OneFactorisationServesASolutionAndItsGradient) {
  Arrays in{random_matrix({5, 5}, float32), random_matrix({5}, float32)};
  auto f = [](const Arrays& x) {
    return Arrays{sum(linalg::solve(x[0], x[1]))};
  };
  Arrays all = grad(f, {0, 1})(in);
  all.push_back(f(in)[0]);
  const std::string plan = plan_text(all);
  const size_t first = plan.find(" linalg.lu\n");
  ASSERT_NE(first, std::string::npos) << plan;
  EXPECT_EQ(plan.find(" linalg.lu\n", first + 1), std::string::npos) << plan;
}

TEST(Linalg, OutputsThatNobodyReadCostNothing) {
  array a = random_matrix({4, 3}, float32);
  EXPECT_EQ(linalg::svd(a)[1].to_vector<float>(),
            linalg::svd(a)[1].to_vector<float>());
  EXPECT_EQ(linalg::qr(a).second.shape(), (Shape{3, 3}));
  EXPECT_EQ(linalg::qr(a).second.to_vector<float>().size(), 9u);
}

// The gradient of det is the matrix of cofactors, whatever the rank.
TEST(Linalg, GradientOfDetOfSingularMatrices) {
  auto det = [](const Arrays& x) { return Arrays{linalg::det(x[0])}; };
  const double rank_two[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  array a = array::from(rank_two, {3, 3});
  std::vector<double> got = grad(det)({a})[0].to_vector<double>();
  const double want[] = {-3, 6, -3, 6, -12, 6, -3, 6, -3};
  for (int i = 0; i < 9; ++i) EXPECT_NEAR(got[size_t(i)], want[i], 1e-13);
  array rank_one = outer(array({1., 2., 3.}), array({1., 1., 2.}));
  for (double x : grad(det)({rank_one})[0].to_vector<double>())
    EXPECT_NEAR(x, 0, 1e-13);
  EXPECT_EQ(grad(det)({array({3.}, {1, 1})})[0].item<float>(), 1);
}

TEST(Linalg, SignAndLogarithmOfSingularMatrices) {
  auto [sign, log] = linalg::slogdet(zeros({2, 3, 3}));
  EXPECT_EQ(sign.to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(log.to_vector<float>(), (std::vector<float>{-INFINITY, -INFINITY}));
}

// The norms of equal singular values have derivatives; vectors do not.
TEST(Linalg, EqualSingularValues) {
  auto nuclear = [](const Arrays& x) {
    return Arrays{linalg::norm(x[0], "nuc")};
  };
  EXPECT_TRUE(allclose(grad(nuclear)({eye(3)})[0], eye(3)).item<bool>());
  auto vectors = [](const Arrays& x) {
    return Arrays{sum(linalg::eigh(x[0]).second)};
  };
  EXPECT_TRUE(any(isnan(grad(vectors)({eye(3)})[0])).item<bool>());
}

TEST(Linalg, TheTriangleNotMeantIsNotRead) {
  array a = random_matrix({4, 4}, float64),
        p = matmul(a, turned(a)) + eye(4, -1, 0, float64);
  array nan = full({4, 4}, std::nan(""), float64);
  array low = select(tri(4, 4, 0, bool_), p, nan), high = turned(low);
  EXPECT_TRUE(array_equal(cholesky(low), cholesky(p)).item<bool>());
  EXPECT_TRUE(
      array_equal(cholesky(high, true), cholesky(p, true)).item<bool>());
  EXPECT_TRUE(
      array_equal(linalg::eigvalsh(low), linalg::eigvalsh(p)).item<bool>());
  EXPECT_TRUE(array_equal(linalg::eigvalsh(high, "U"), linalg::eigvalsh(p, "U"))
                  .item<bool>());
  EXPECT_TRUE(
      array_equal(linalg::tri_inv(high, true), linalg::tri_inv(triu(p), true))
          .item<bool>());
  EXPECT_TRUE(array_equal(linalg::solve_triangular(low, p),
                          linalg::solve_triangular(tril(p), p))
                  .item<bool>());
}

}  // namespace
}  // namespace treadle::testing
