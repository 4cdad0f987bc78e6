// EMA: averages of parameters, by the formula, in float32.
#include "treadle/optimizers/ema.h"

#include <gmock/gmock.h>

#include "treadle/treadle.h"

namespace treadle::optimizers {
namespace {

struct One : nn::Module {
  explicit One(Dtype dtype = float32) : weight(full({2}, 1, dtype)) {}
  array weight;
  TREADLE_MODULE(One, weight)
};

float value(const Tree& tree) { return tree.leaves()[0].to_vector<float>()[0]; }

TEST(Ema, FollowsTheParameters) {
  One model;
  EMA ema(model, {.decay = 0.75});
  float expected = 1;
  for (float w : {3.0f, -2.0f, 5.0f}) {
    model.weight = full({2}, w);
    ema.update(model);
    expected += 0.25f * (w - expected);
    EXPECT_FLOAT_EQ(value(ema.average()), expected);
  }
  EXPECT_EQ(ema.state().at("updates").leaf().item<int32_t>(), 3);
}

TEST(Ema, ForgetsTheFirstParametersSoonWithWarmup) {
  One model;
  EMA ema(model, {.decay = 0.999, .warmup = true});
  model.weight = full({2}, 0.0f);
  ema.update(model);
  EXPECT_FLOAT_EQ(value(ema.average()), 0.1f);
  ema.update(model);
  EXPECT_FLOAT_EQ(value(ema.average()), 0.1f * 2 / 11);
  EXPECT_FLOAT_EQ(ema_warmup(array(100'000, int32), 0.999).item<float>(),
                  0.999f);
}

TEST(Ema, KeepsSmallChangesOfHalfParameters) {
  One model(bfloat16);
  EMA ema(model, {.decay = 0.999});
  model.weight = full({2}, 1.5, bfloat16);
  for (int i = 0; i < 4; ++i) ema.update(model);
  EXPECT_NEAR(value(ema.average()), 1 + 0.5 * (1 - std::pow(0.999, 4)), 1e-6);
  const Tree own = ema.apply(model);
  EXPECT_EQ(model.weight.dtype(), bfloat16);
  EXPECT_EQ(astype(model.weight, float32).to_vector<float>()[0], 1);
  model.update(own);
  EXPECT_EQ(astype(model.weight, float32).to_vector<float>()[0], 1.5f);
}

TEST(Ema, WorksInACompiledStep) {
  One model, other;
  EMA ema(model, {.decay = 0.5}), plain(other, {.decay = 0.5});
  SGD optimizer(0.25), slow(0.25);
  const Tree gradients = Tree::map({{"weight", Tree(ones({2}))}});
  auto body = [&](One& m, SGD& o, EMA& e) {
    o.update(m, gradients);
    e.update(m);
    return Arrays{m.weight};
  };
  auto step = train::compile_step(
      model,
      optimizer,
      [&](const Arrays&) { return body(model, optimizer, ema); },
      "step",
      captured(ema));
  for (int i = 0; i < 3; ++i) {
    step({});
    body(other, slow, plain);
    EXPECT_EQ(value(ema.average()), value(plain.average()));
  }
  EXPECT_NE(value(ema.average()), 1);
}

TEST(Ema, RefusesOtherParametersAndDecays) {
  One model;
  EMA ema(model);
  model.freeze();
  EXPECT_THROW(ema.update(model), std::invalid_argument);
  EXPECT_THROW(EMA(model, {.decay = 1}), std::invalid_argument);
}

}  // namespace
}  // namespace treadle::optimizers
