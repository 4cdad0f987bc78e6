// Expected numbers: MLX 0.32.
#include "treadle/nn/functional/losses.h"

#include <gmock/gmock.h>

#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/softmax.h"
#include "treadle/ops/views.h"
#include "treadle/transforms/autodiff.h"

#include "tests/nn/values.h"

namespace treadle::nn {
namespace {

using test::expect_values;
using test::fill;
using test::message_of;
using testing::HasSubstr;

array logits() { return fill({3, 4}, 0, 3.0); }
array targets() { return array({2, 0, 3}); }
array probabilities() { return softmax(fill({3, 4}, 2, 2.0), -1); }

TEST(CrossEntropy, OfClassIndices) {
  expect_values(cross_entropy(logits(), targets()),
                {0.1359942, 2.486537, 5.611258});
  array mean = cross_entropy(logits(), targets(), {.reduction = "mean"});
  EXPECT_EQ(mean.ndim(), 0);
  expect_values(mean, {2.744596});
  expect_values(cross_entropy(logits(), targets(), {.reduction = "sum"}),
                {8.233789});
}

TEST(CrossEntropy, TakesIndicesOfAnyIntegerType) {
  for (Dtype t : {uint8, int8, uint16, uint32, int64, uint64}) {
    expect_values(cross_entropy(logits(), astype(targets(), t)),
                  {0.1359942, 2.486537, 5.611258});
  }
}

TEST(CrossEntropy, CountsClassesBeyondTheRangeOfSmallIndexTypes) {
  array x = fill({2, 300}, 1);
  array t = astype(array({200, 255}), uint8);
  array expected = cross_entropy(x, astype(t, int32));
  expect_values(cross_entropy(x, t), expected.to_vector<double>(), 0);
}

TEST(CrossEntropy, OfProbabilities) {
  expect_values(cross_entropy(logits(), probabilities()),
                {2.868634, 2.312406, 2.339919});
  expect_values(
      cross_entropy(logits(), probabilities(), {.label_smoothing = 0.3}),
      {2.828545, 2.275536, 2.510429});
}

TEST(CrossEntropy, SmoothsLabels) {
  expect_values(cross_entropy(logits(), targets(), {.label_smoothing = 0.1}),
                {0.3958952, 2.456834, 5.340961});
}

TEST(CrossEntropy, WeighsEachTarget) {
  array w({0.5f, 2.0f, 1.0f});
  expect_values(cross_entropy(logits(), targets(), {.weights = w}),
                {0.06799712, 4.973075, 5.611258});
  expect_values(
      cross_entropy(logits(), targets(), {.weights = w, .reduction = "mean"}),
      {3.550777});
}

TEST(CrossEntropy, WeighsClasses) {
  array w({1.0f, 10.0f, 2.0f, 0.5f});
  std::vector<double> expected = {2 * 0.1359942, 2.486537, 0.5 * 5.611258};
  expect_values(cross_entropy(logits(), targets(), {.class_weights = w}),
                expected);
  expect_values(cross_entropy(logits(), targets(), {.weights = w}), expected);
}

TEST(CrossEntropy, TakesWeightsForThoseOfTargetsWhenBothFit) {
  array x = fill({4, 4}, 0), t({3, 2, 1, 0}), w({1.0f, 2.0f, 3.0f, 4.0f});
  std::vector<double> plain = cross_entropy(x, t).to_vector<double>();
  testing::internal::CaptureStderr();
  array got = cross_entropy(x, t, {.weights = w});
  cross_entropy(x, t, {.weights = w});
  std::string warning = testing::internal::GetCapturedStderr();
  expect_values(got, {plain[0], 2 * plain[1], 3 * plain[2], 4 * plain[3]});
  EXPECT_EQ(std::count(warning.begin(), warning.end(), '\n'), 1) << warning;
}

TEST(CrossEntropy, IgnoresAClass) {
  array t({2, -100, 3});
  expect_values(cross_entropy(logits(), t, {.ignore_index = -100}),
                {0.1359942, 0, 5.611258});
  expect_values(
      cross_entropy(logits(), t, {.ignore_index = -100, .reduction = "mean"}),
      {(0.1359942 + 5.611258) / 2});
}

// Whatever the axis and the type of the logits.
TEST(CrossEntropy, CountsNegativeTargetsFromTheEnd) {
  const array t({-2, -4, -1}), plain({2, 0, 3}), w({1, 2, 3, 4});
  const CrossEntropyOptions weighed{.class_weights = w};
  const auto expected = cross_entropy(logits(), plain, weighed);
  expect_values(
      cross_entropy(logits(), t, weighed), expected.to_vector<double>(), 0);
  expect_values(cross_entropy(transpose(logits()), t, {.axis = 0}),
                cross_entropy(logits(), plain).to_vector<double>());
  const array whole = astype(floor(logits()), int32);
  expect_values(cross_entropy(whole, t),
                cross_entropy(whole, plain).to_vector<double>(),
                0);
}

TEST(CrossEntropy, IsInfiniteForATargetThatIsNoClass) {
  const array t({4, 0, -5});
  for (const array& loss :
       {cross_entropy(logits(), t),
        cross_entropy(logits(), t, {.label_smoothing = 0.1}),
        cross_entropy(transpose(logits()), t, {.axis = 0})}) {
    const auto v = loss.to_vector<double>();
    EXPECT_TRUE(std::isinf(v[0]) && v[0] > 0 && std::isinf(v[2]));
    EXPECT_LT(v[1], 3);
  }
  // Unless it is ignored, whatever the weights; its gradient is 0 then.
  const array x = logits();
  for (int axis : {1, 0}) {
    auto f = [&](const array& in, const array& w) {
      return cross_entropy(axis ? in : transpose(in),
                           array({-9, 0, -9}),
                           {.class_weights = w,
                            .axis = axis,
                            .ignore_index = -9,
                            .reduction = "sum"});
    };
    auto [loss, gradients] = value_and_grad(
        [&](const Arrays& in) { return Arrays{f(in[0], in[1])}; },
        {0, 1})({x, ones({4})});
    expect_values(loss[0], {2.486537});
    const auto dx = gradients[0].to_vector<double>();
    EXPECT_EQ(std::count(dx.begin(), dx.end(), 0), 8);
    expect_values(gradients[1], {2.486537, 0, 0, 0});
  }
}

TEST(CrossEntropy, AlongAnotherAxis) {
  array t = array({0, 1, 2, 3, 0, 1}, {2, 3});
  expect_values(cross_entropy(fill({2, 4, 3}, 1, 2.0), t, {.axis = 1}),
                {2.076288, 1.680249, 4.158211, 0.8881695, 0.1202228, 1.680249});
}

TEST(CrossEntropy, HasTheGradientOfMlx) {
  auto gradient = [](double smoothing) {
    return grad([=](const array& x) {
      return cross_entropy(
          x, targets(), {.label_smoothing = smoothing, .reduction = "mean"});
    })(logits());
  };
  expect_values(gradient(0),
                {0.003586258,
                 0.03230199,
                 -0.04238412,
                 0.006495886,
                 -0.3056008,
                 0.2497912,
                 0.00557697,
                 0.05023264,
                 0.2714629,
                 0.006060822,
                 0.05459079,
                 -0.3321145});
  expect_values(gradient(0.1),
                {-0.004747076,
                 0.02396866,
                 -0.01738411,
                 -0.001837448,
                 -0.2806008,
                 0.2414579,
                 -0.002756364,
                 0.04189931,
                 0.2631296,
                 -0.002272512,
                 0.04625746,
                 -0.3071145});
}

TEST(CrossEntropy, StaysFiniteForLargeLogits) {
  expect_values(cross_entropy(logits() * 1000, targets()),
                {0, 2198.02, 5405.94});
}

TEST(CrossEntropy, KeepsTheDtypeOfTheLogits) {
  for (Dtype t : {float16, bfloat16, float64}) {
    array loss = cross_entropy(astype(logits(), t),
                               targets(),
                               {.label_smoothing = 0.1, .reduction = "mean"});
    EXPECT_EQ(loss.dtype(), t);
    EXPECT_NEAR(loss.item<double>(),
                (0.3958952 + 2.456834 + 5.340961) / 3,
                t == float64 ? 1e-6 : 0.02);
  }
}

// float16 ends at 65504.
TEST(CrossEntropy, AveragesMoreTargetsThanAHalfTypeCanCount) {
  const array x = broadcast_to(astype(logits(), float16), {30000, 3, 4});
  const array t = broadcast_to(array({2, 0, 9}), {30000, 3});
  const array mean =
      cross_entropy(x, t, {.ignore_index = 9, .reduction = "mean"});
  EXPECT_EQ(mean.dtype(), float16);
  EXPECT_NEAR(mean.item<double>(), (0.1359942 + 2.486537) / 2, 0.002);
}

TEST(CrossEntropy, SaysWhatDoesNotMatch) {
  EXPECT_THAT(
      message_of([] {
        cross_entropy(logits(), array({1, 2}));
      }),
      HasSubstr(
          "[cross_entropy] the targets are int32 (2,) and the logits float32 "
          "(3, 4); expected class indices (3,) or probabilities (3, 4)."));
  EXPECT_THAT(message_of([] {
                cross_entropy(logits(), array({1.f, 2.f, 0.f}));
              }),
              HasSubstr("expected an integer dtype"));
  EXPECT_THAT(
      message_of([] {
        cross_entropy(logits(), targets(), {.weights = array({1.f, 2.f})});
      }),
      HasSubstr(
          "class weights have shape (2,); expected one for each class, (4,)."));
  EXPECT_THAT(message_of([] {
                cross_entropy(logits(), targets(), {.label_smoothing = 1});
              }),
              HasSubstr("label_smoothing is 1; expected [0, 1)."));
  EXPECT_THAT(
      message_of(
          [] { cross_entropy(logits(), targets(), {.reduction = "avg"}); }),
      HasSubstr("reduction is 'avg'; expected 'none', 'mean' or 'sum'."));
}

TEST(MseLoss, OfEachElement) {
  expect_values(mse_loss(fill({2, 3}, 0), fill({2, 3}, 3)),
                {0.427017, 0.4270169, 1.813156, 0.427017, 0.4270169, 1.813156});
  EXPECT_THAT(message_of([] {
                mse_loss(fill({2, 3}, 0), fill({3}, 0));
              }),
              HasSubstr("expected equal shapes"));
}

// Inputs in (-3, 3), targets in (-1, 1); expected numbers of MLX.
array inputs() { return fill({2, 3}, 0, 3.0); }
array numbers() { return fill({2, 3}, 2); }

TEST(Losses, OfProbabilities) {
  array x = inputs(), p = abs(numbers());
  expect_values(
      binary_cross_entropy(x, p),
      {1.322675, 0.6071976, 0.1688597, 0.6783195, 0.6972273, 0.5496219});
  expect_values(binary_cross_entropy(p, 1 - p, {.with_logits = false}),
                {0.7003658, 1.049757, 100, 1.049757, 0.7003658, 1.342415});
  expect_values(nll_loss(x, array({2, 0})), {-1.693069, 2.108911});
  expect_values(kl_div_loss(x, numbers()), {1.423273, 0.6234937});
}

TEST(Losses, OfNumbers) {
  array x = inputs(), t = numbers();
  expect_values(l1_loss(x, t),
                {2.237624, 0.7722772, 2.693069, 1.841584, 0.3762376, 3.089109});
  expect_values(smooth_l1_loss(x, t, 2),
                {1.237624, 0.149103, 1.693069, 0.847858, 0.03538869, 2.089109});
  expect_values(
      huber_loss(x, t, 0.5),
      {0.9938118, 0.2611386, 1.221535, 0.795792, 0.07077738, 1.419554});
  expect_values(
      log_cosh_loss(x, t),
      {1.555799, 0.2725621, 2.004491, 1.173269, 0.06916803, 2.398034});
  expect_values(gaussian_nll_loss(x, t, abs(t), true),
                {5.916271, 1.374808, 4.54525, 6.60253, 0.6885481, 6.757998});
}

TEST(Losses, OfRanksAndDirections) {
  array x = inputs(), t = numbers();
  expect_values(hinge_loss(x, t),
                {0, 1.134987, 2.693069, 0.4362317, 0.9585335, 2.834232});
  expect_values(triplet_loss(x, t, -t), {1.333597, 1.759517});
  expect_values(cosine_similarity_loss(x, t), {-0.1555988, -0.4092155});
  expect_values(
      margin_ranking_loss(x, -x, sign(t), 0.5, "sum"), {10.7920788}, 2e-6);
}

// A sigmoid in a half type is 1 from 9 on, and vectors of zeros have no
// direction.
TEST(Losses, HaveFiniteGradientsWhereTheirFormulasHaveNone) {
  for (Dtype t : {float16, bfloat16, float32}) {
    const array p = astype(array({0, 1, 1, 0}), t),
                y = astype(array({1, 0, 1, 0}), t);
    const array d = grad([&](const array& x) {
      return binary_cross_entropy(
          x, y, {.with_logits = false, .reduction = "sum"});
    })(p);
    expect_values(d, {0, 0, -1, 1});
    expect_values(binary_cross_entropy(p, y, {.with_logits = false}),
                  {100, 100, 0, 0});
    const array a = zeros({2, 3}, t), b = ones({2, 3}, t);
    for (const array& other : {a, b}) {
      expect_values(cosine_similarity_loss(a, other), {0, 0});
      const array g = grad([&](const array& x) {
        return cosine_similarity_loss(x, other, 1, 1e-2, "sum");
      })(a);
      EXPECT_EQ(g.dtype(), t);
      expect_values(
          g, std::vector<double>(6, same_array(a, other) ? 0 : 100), 0.01);
    }
    const array far = full({2, 3}, 300, t);
    expect_values(cosine_similarity_loss(far, -far), {-1, -1});
  }
}

TEST(Losses, NameTheShapesThatDiffer) {
  EXPECT_THAT(message_of([] { l1_loss(inputs(), logits()); }),
              HasSubstr("[l1_loss] predictions are float32 (2, 3) and targets "
                        "float32 (3, 4)"));
  EXPECT_THAT(message_of([] { nll_loss(inputs(), array({1})); }),
              HasSubstr("[nll_loss]"));
  EXPECT_THAT(message_of([] { binary_cross_entropy(inputs(), logits()); }),
              HasSubstr("[binary_cross_entropy]"));
}

}  // namespace
}  // namespace treadle::nn
