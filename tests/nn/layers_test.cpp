// What the parity table does not say about layers: randomness, state, errors.
#include <gmock/gmock.h>

#include "treadle/nn/modules/activations.h"
#include "treadle/nn/modules/attention.h"
#include "treadle/nn/modules/conv.h"
#include "treadle/nn/modules/dropout.h"
#include "treadle/nn/modules/embedding.h"
#include "treadle/nn/modules/linear.h"
#include "treadle/nn/modules/normalization.h"
#include "treadle/nn/modules/pooling.h"
#include "treadle/nn/modules/position.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/random.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

#include "tests/nn/values.h"

namespace treadle::nn {
namespace {

using test::expect_values;
using test::fill;
using test::message_of;
using testing::HasSubstr;

TEST(Linear, StartsUniformInBoundsOfItsInputs) {
  random::seed(3);
  Linear l(400, 300);
  double bound = 1 / std::sqrt(400.0);
  EXPECT_LE(max(abs(l.weight)).item<double>(), bound);
  // Mean 0 and variance bound^2 / 3, within five standard errors.
  EXPECT_NEAR(
      mean(l.weight).item<double>(), 0, 5 * bound / std::sqrt(3 * 120'000.0));
  EXPECT_NEAR(mean(square(l.weight)).item<double>(),
              bound * bound / 3,
              5 * bound * bound * std::sqrt(4.0 / 45 / 120'000));
  EXPECT_LE(max(abs(l.bias)).item<double>(), bound);
  EXPECT_GT(max(abs(l.bias)).item<double>(), bound / 2);
  EXPECT_THROW(Linear(0, 3), std::invalid_argument);
}

TEST(Conv2d, StartsUniformInBoundsOfItsWindow) {
  random::seed(4);
  Conv2d c(8, 60, 3, 1, 0, 1, 2);
  double bound = 1 / std::sqrt(4.0 * 9);
  EXPECT_EQ(c.weight.shape(), (Shape{60, 3, 3, 4}));
  EXPECT_LE(max(abs(c.weight)).item<double>(), bound);
  EXPECT_GT(max(abs(c.weight)).item<double>(), 0.95 * bound);
  EXPECT_EQ(max(abs(c.bias)).item<double>(), 0);
  EXPECT_THAT(
      message_of([] { Conv2d(3, 4, 3, 1, 0, 1, 2); }),
      HasSubstr("2 groups do not divide 3 input and 4 output channels"));
  EXPECT_THAT(message_of([] {
                Conv2d(3, 4, 3)(zeros({1, 2, 2, 3}));
              }),
              HasSubstr("Conv2d 3->4: [conv"));
}

TEST(Dropout, ZeroesAShareAndScalesTheRest) {
  Dropout d(0.25);
  array x = ones({200, 500});
  array y = d(x, random::key(1));
  double zeroed = mean(equal(y, 0)).item<double>();
  EXPECT_NEAR(zeroed, 0.25, 5 * std::sqrt(0.25 * 0.75 / 100'000));
  EXPECT_NEAR(max(y).item<double>(), 1 / 0.75, 1e-6);
  expect_values(d(x, random::key(1)), y.to_vector<double>(), 0);
  EXPECT_GT(sum(not_equal(d(x, random::key(2)), y)).item<int>(), 0);
  random::seed(5);
  array first = d(x), second = d(x);
  EXPECT_GT(sum(not_equal(first, second)).item<int>(), 0);
  d.eval();
  EXPECT_TRUE(same_array(d(x), x));
  EXPECT_EQ(Dropout(0.5)(astype(x, bfloat16)).dtype(), bfloat16);
  EXPECT_THROW(Dropout(1), std::invalid_argument);
  EXPECT_THROW(Dropout(-0.1), std::invalid_argument);
}

TEST(BatchNorm, KeepsItsStatisticsFrozenAndSaved) {
  BatchNorm b(3);
  b.unfreeze();
  EXPECT_EQ(b.trainable_parameters().size(), 2u);
  EXPECT_EQ(b.parameters().size(), 4u);
  BatchNorm copy = b;
  b(fill({8, 3}, 1));
  EXPECT_NE(sum(abs(b.running_mean)).item<double>(), 0);
  EXPECT_EQ(sum(abs(copy.running_mean)).item<double>(), 0);
}

TEST(BatchNorm, NeedsMoreThanOneValueForAChannelOnlyToTrain) {
  BatchNorm b(3);
  EXPECT_THAT(message_of([&] {
                b(zeros({1, 3}));
              }),
              HasSubstr("one value for each channel has no variance"));
  b.eval();
  expect_values(b(zeros({1, 3})), {0, 0, 0}, 0);
  EXPECT_THAT(message_of([&] { b(zeros({3})); }),
              HasSubstr("expected 2, 3 or 4 dimensions"));
  EXPECT_THROW(BatchNorm(3, 0), std::invalid_argument);
}

TEST(BatchNorm, KeepsHalfPrecision) {
  BatchNorm b(3);
  b.set_dtype(bfloat16);
  EXPECT_EQ(b(astype(fill({8, 3}, 1), bfloat16)).dtype(), bfloat16);
  EXPECT_EQ(b.running_var.dtype(), bfloat16);
}

TEST(Pooling, RefusesWindowsThatMakeNoSense) {
  EXPECT_THROW(MaxPool2d(0), std::invalid_argument);
  EXPECT_THROW(MaxPool2d(2, 0), std::invalid_argument);
  EXPECT_THROW(AvgPool2d(2, 2, -1), std::invalid_argument);
}

TEST(GELU, RefusesAnUnknownApproximation) {
  EXPECT_THAT(message_of([] { GELU("exact"); }),
              HasSubstr("approx is 'exact'; expected"));
}

TEST(Dropout, DrawsAnotherMaskAtEachCallOfACompiledStep) {
  Dropout d(0.5);
  Dropout2d d2(0.5);
  auto step = compile([&](const Arrays& x) {
    return Arrays{d(x[0]), d2(reshape(x[0], {4, 4, 64}))};
  });
  Arrays first = step({ones({1024})}), second = step({ones({1024})});
  for (int i : {0, 1}) {
    EXPECT_GT(sum(not_equal(first[size_t(i)], second[size_t(i)])).item<int>(),
              100);
  }
}

TEST(Embedding, TiesItsTableToALastLayer) {
  Embedding e(5, 3);
  e.weight = fill({5, 3}, 1);
  expect_values(e.as_linear(e(array({2, 0}))),
                matmul(take(e.weight, array({2, 0}), 0), transpose(e.weight))
                    .to_vector<double>());
  EXPECT_THAT(message_of([&] { e(array({1.0f})); }),
              HasSubstr("expected integers"));
}

struct Doubled : Module {
  explicit Doubled(Embedding e) : inner(std::move(e)) {}
  Embedding inner;
  TREADLE_MODULE(Doubled, inner)
  array operator()(const array& x) const { return 2 * inner(x); }
  array as_linear(const array& x) const { return inner.as_linear(x) / 2; }
};

TEST(AnyEmbedding, IsExchangeableAndCopiedByValue) {
  struct Model : Module {
    AnyEmbedding tokens = Embedding(5, 3);
    TREADLE_MODULE(Model, tokens)
  };
  Model a;
  Model b = a;
  a.tokens.try_as<Embedding>()->weight = ones({5, 3});
  expect_values(a.tokens(array({1})), {1, 1, 1});
  EXPECT_NE(b.tokens(array({1})).to_vector<float>()[0], 1);
  a.tokens = Doubled(*a.tokens.try_as<Embedding>());
  expect_values(a.tokens(array({1})), {2, 2, 2});
  expect_values(a.tokens.as_linear(ones({1, 3})), {1.5, 1.5, 1.5, 1.5, 1.5});
  EXPECT_EQ(a.parameters().flatten()[0].first, "tokens.inner.weight");
  EXPECT_EQ(a.tokens.try_as<Embedding>(), nullptr);
  EXPECT_THAT(message_of([] { AnyEmbedding()(array({1})); }),
              HasSubstr("no layer has been put here"));
}

TEST(MultiHeadAttention, SeesOnlyWhatTheMaskShows) {
  random::seed(1);
  MultiHeadAttention m(8, 2);
  array x = random::normal({2, 5, 8});
  array all = m(x, "causal");
  array additive = m(x, additive_causal_mask(5));
  expect_values(additive, all.to_vector<double>(), 2e-6);
  array first = m(slice(x, {0, 0, 0}, {2, 2, 8}), "causal");
  expect_values(
      slice(all, {0, 0, 0}, {2, 2, 8}), first.to_vector<double>(), 2e-6);
  EXPECT_THAT(message_of([&] { m(x, "upper"); }),
              HasSubstr("the mask is 'upper'; expected 'causal'"));
  EXPECT_THAT(message_of([] { MultiHeadAttention(8, 3); }),
              HasSubstr("8 features for 3 heads"));
}

TEST(Norms, RefuseWhatMakesNoSense) {
  EXPECT_THROW(LayerNorm(3, 0), std::invalid_argument);
  EXPECT_THROW(RMSNorm(3, -1), std::invalid_argument);
  EXPECT_THROW(GroupNorm(4, 6), std::invalid_argument);
  EXPECT_THAT(message_of([] {
                InstanceNorm(3)(zeros({2, 3}));
              }),
              HasSubstr("expected at least 3 axes"));
  EXPECT_THROW(SinusoidalPositionalEncoding(3), std::invalid_argument);
}

}  // namespace
}  // namespace treadle::nn
