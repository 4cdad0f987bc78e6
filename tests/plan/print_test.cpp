#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "treadle/runtime/explain.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

array values(const Shape& shape) {
  std::vector<float> v(size_t(size_of(shape)), 0.5f);
  return array::from(v.data(), shape);
}

int steps_of(const std::string& text) {
  int n = 0;
  for (size_t at = 0; (at = text.find("      out ", at)) != std::string::npos;
       ++at)
    ++n;
  return n;
}

TEST(PlanText, ASoftmaxIsOneFusedStep) {
  array x = values({8, 32});
  array e = exp(x - max(x, -1, true));
  array y = e / sum(e, -1, true);
  e = array();
  std::string text = plan_text({&y, 1});
  EXPECT_THAT(text, HasSubstr("fused[max subtract exp sum divide]"));
  EXPECT_EQ(steps_of(text), 1) << text;
}

TEST(PlanText, EqualExpressionsAreComputedOnce) {
  array x = values({16});
  array y = exp(x) + exp(x);
  EXPECT_THAT(plan_text({&y, 1}), HasSubstr("fused[exp add]"));
}

TEST(PlanText, SaysWhyNeighboursAreTwoSteps) {
  array x = values({8, 32});
  array bias = sum(x * 2.0f, 0, true);
  array y = x + bias;
  bias = array();
  std::string text = plan_text({&y, 1});
  EXPECT_THAT(text, HasSubstr("complete only when all rows are done")) << text;
  array z = sum(matmul(x, transpose(x)), 0);
  EXPECT_THAT(plan_text({&z, 1}), HasSubstr("matmul is a kernel of its own"));
}

TEST(PlanText, LayerNormAndItsInputGradientAreFewSteps) {
  array x = values({8, 32}), w = values({32}), b = values({32});
  auto f = [&](const Arrays& a) {
    array c = a[0] - mean(a[0], -1, true);
    return Arrays{c * rsqrt(mean(square(c), -1, true) + 1e-5f) * a[1] + a[2]};
  };
  array y = f({x, w, b})[0];
  EXPECT_EQ(steps_of(plan_text({&y, 1})), 1) << plan_text({&y, 1});
  Arrays g = vjp(f, {x, w, b}, {ones({8, 32})}).second;
  std::string text = plan_text(g);
  EXPECT_LE(steps_of(text), 3) << text;
}

TEST(PlanText, AnUpdateFollowsItsGradient) {
  array x = values({8, 32}), w1 = values({32, 32}), w2 = values({32, 32});
  eval({x, w1, w2});
  auto loss = [&](const Arrays& w) {
    return Arrays{sum(matmul(tanh(matmul(x, w[0])), w[1]))};
  };
  Arrays g = grad(ArraysFn(loss), {0, 1})({w1, w2});
  w1 = w1 - g[0] * 0.1f;
  w2 = w2 - g[1] * 0.1f;
  g.clear();
  std::string text = plan_text(Arrays{w1, w2});
  // w2's gradient is ready before w1's: so is its update.
  size_t first = text.find("fused[multiply subtract]"),
         last_matmul = text.rfind(" matmul\n");
  ASSERT_NE(first, std::string::npos) << text;
  EXPECT_LT(first, last_matmul) << text;
}

// The loss wanted or not, its gradient reads the logits once and writes nothing
// of their size but itself.
TEST(PlanText, NothingOfTheLogitsSizeIsStoredForTheirGradient) {
  array x = values({8, 32}), w = values({8});
  array t = zeros({8}, int32);
  eval({x, w, t});
  const std::vector<nn::CrossEntropyOptions> forms{
      {.reduction = "mean"},
      {.reduction = "sum"},
      {.label_smoothing = 0.1, .reduction = "mean"},
      {.weights = w, .reduction = "mean"},
      {.ignore_index = 3, .reduction = "mean"}};
  for (const auto& form : forms) {
    for (Dtype dtype : {float32, bfloat16}) {
      auto loss = [&](const Arrays& a) {
        return Arrays{nn::cross_entropy(a[0], t, form)};
      };
      array logits = astype(x, dtype);
      eval({logits});
      Arrays g = grad(ArraysFn(loss))({logits});
      std::string text = plan_text(g);
      EXPECT_THAT(text, Not(HasSubstr("(8, 32)  (arena)")));
      auto [y, both] = value_and_grad(ArraysFn(loss))({logits});
      both.push_back(y[0]);
      y.clear();
      text = plan_text(both);
      EXPECT_THAT(text, Not(HasSubstr("(8, 32)  (arena)")));
    }
  }
}

TEST(PlanText, DotIsAGraph) {
  array x = values({4});
  array y = exp(x) * 2.0f;
  std::string dot = plan_dot({&y, 1});
  EXPECT_THAT(dot, HasSubstr("digraph plan {"));
  EXPECT_THAT(dot, HasSubstr("fused[exp multiply]"));
}

}  // namespace
}  // namespace treadle
