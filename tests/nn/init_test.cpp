#include "treadle/nn/functional/init.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/random.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle::nn::init {
namespace {

// The values of an initializer, and the same draw from plain random numbers.
void expect_draw(const Initializer& init,
                 const Shape& shape,
                 const array& expected) {
  random::seed(7);
  array got = init(shape);
  EXPECT_EQ(got.shape(), shape);
  EXPECT_LT(max(abs(got - expected)).item<float>(), 1e-6f);
}

array unit_normal(const Shape& shape) {
  random::seed(7);
  array x = random::normal(shape);
  x.eval();
  return x;
}

array unit_uniform(const Shape& shape) {
  random::seed(7);
  array x = random::uniform(shape) * 2 - 1;
  x.eval();
  return x;
}

TEST(Init, ScalesByTheFansOfTheShape) {
  const Shape conv = {6, 3, 2, 4};  // 24 into each output, 36 out of each input
  expect_draw(glorot_normal(float32, 2),
              conv,
              unit_normal(conv) * 2 * std::sqrt(2.0 / 60));
  expect_draw(glorot_uniform(float32, 2),
              conv,
              unit_uniform(conv) * 2 * std::sqrt(6.0 / 60));
  expect_draw(he_normal(), conv, unit_normal(conv) / std::sqrt(24.0));
  expect_draw(he_normal(float32, Fan::out, 3),
              conv,
              unit_normal(conv) * 3 / std::sqrt(36.0));
  expect_draw(he_uniform(float32, Fan::out),
              conv,
              unit_uniform(conv) * std::sqrt(3.0 / 36));
  expect_draw(normal(2, 0.5), {3, 3}, unit_normal({3, 3}) * 0.5 + 2);
  expect_draw(uniform(-1, 1), {3, 3}, unit_uniform({3, 3}));
}

// What an initializer draws for a weight of 400 outputs and 300 inputs.
struct Distribution {
  std::string name;
  Initializer init;
  double mean, deviation;
  double low = -kNoBound, high = kNoBound;
  static constexpr double kNoBound = 1e9;
};

class Statistics : public testing::TestWithParam<Distribution> {};

TEST_P(Statistics, AreThoseOfTheDistribution) {
  const Distribution& d = GetParam();
  random::seed(17);
  const std::vector<double> x = d.init({400, 300}).to_vector<double>();
  ASSERT_EQ(x.size(), 120000u);
  const auto n = double(x.size());
  double total = 0, squares = 0;
  for (double v : x) total += v;
  for (double v : x) squares += (v - total / n) * (v - total / n);
  // Four deviations of what so many draws give; float32 rounds, too.
  EXPECT_NEAR(total / n, d.mean, 4 * d.deviation / std::sqrt(n));
  EXPECT_NEAR(
      std::sqrt(squares / n) / d.deviation, 1, 4 / std::sqrt(2 * n) + 1e-6);
  const auto [least, most] = std::minmax_element(x.begin(), x.end());
  const double rounding = 1e-7 * d.deviation;
  EXPECT_GE(*least, d.low - rounding);
  EXPECT_LE(*most, d.high + rounding);
  if (d.high != Distribution::kNoBound) {
    EXPECT_LT(*least, d.low + 1e-3 * d.deviation);
    EXPECT_GT(*most, d.high - 1e-3 * d.deviation);
  }
  // Random digits, so hardly a number comes twice.
  const size_t different = std::set<double>(x.begin(), x.end()).size();
  EXPECT_GT(double(different), (d.name == "sparse" ? 0.7 : 0.9) * n);
}

const double kGlorot = std::sqrt(6.0 / 700), kHe = std::sqrt(3.0 / 300);

INSTANTIATE_TEST_SUITE_P(
    Init,
    Statistics,
    testing::Values(
        Distribution{"normal", normal(0.5, 2), 0.5, 2},
        Distribution{"uniform", uniform(-1, 3), 1, 4 / std::sqrt(12), -1, 3},
        Distribution{"glorot_normal", glorot_normal(), 0, std::sqrt(2.0 / 700)},
        Distribution{"glorot_uniform",
                     glorot_uniform(),
                     0,
                     std::sqrt(2.0 / 700),
                     -kGlorot,
                     kGlorot},
        Distribution{"he_normal", he_normal(), 0, std::sqrt(1.0 / 300)},
        Distribution{"he_normal_out",
                     he_normal(float32, Fan::out, 3),
                     0,
                     3 * std::sqrt(1.0 / 400)},
        Distribution{
            "he_uniform", he_uniform(), 0, std::sqrt(1.0 / 300), -kHe, kHe},
        Distribution{"sparse", sparse(0.25, 0, 2), 0, 2 * std::sqrt(0.75)},
        Distribution{"orthogonal", orthogonal(), 0, std::sqrt(1.0 / 400)}),
    [](const auto& info) { return info.param.name; });

TEST(Init, SparseRowsHaveTheirShareOfZeros) {
  random::seed(17);
  const std::vector<float> x = sparse(0.25)({400, 300}).to_vector<float>();
  for (size_t row = 0; row < 400; ++row) {
    const auto first = x.begin() + ptrdiff_t(row * 300);
    EXPECT_EQ(std::count(first, first + 300, 0.0f), 75) << "row " << row;
  }
}

TEST(Init, ColumnsOfOrthogonalMatricesAreOrthonormal) {
  random::seed(17);
  const array q = orthogonal(2)({80, 60});
  const array product = matmul(transpose(q), q);
  EXPECT_LT(max(abs(product - 4 * eye(60))).item<float>(), 1e-4f);
}

TEST(Init, TakesAnArrayForItsShape) {
  array like = random::normal({2, 2});
  EXPECT_THAT(constant(0.25)(like).to_vector<float>(), testing::Each(0.25f));
  EXPECT_THAT(identity()(like).to_vector<float>(),
              testing::ElementsAre(1, 0, 0, 1));
  EXPECT_EQ(constant(1, bfloat16)(like).dtype(), bfloat16);
}

TEST(Init, RefusesShapesItHasNoRuleFor) {
  EXPECT_THROW(he_normal()({3}), std::invalid_argument);
  EXPECT_THROW(glorot_uniform()(Shape{}), std::invalid_argument);
  EXPECT_THROW(identity()({2, 3}), std::invalid_argument);
  EXPECT_THROW(fan_named("fan"), std::invalid_argument);
}

}  // namespace
}  // namespace treadle::nn::init
