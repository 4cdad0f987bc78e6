#include "treadle/nn/functional/init.h"

#include <cmath>

#include <gmock/gmock.h>

#include "treadle/ops/elementwise.h"
#include "treadle/ops/random.h"
#include "treadle/ops/reduce.h"

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
