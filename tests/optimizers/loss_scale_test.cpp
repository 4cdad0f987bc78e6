// LossScale: steps that are not finite leave everything as it was, and the
// scale follows.
#include "treadle/optimizers/loss_scale.h"

#include <gmock/gmock.h>

#include "treadle/treadle.h"

namespace treadle::optimizers {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(LossScale, GrowsAfterFiniteStepsAndBacksOffAfterOthers) {
  const LossScaleOptions options{
      .initial = 8, .growth = 2, .backoff = 0.25, .interval = 2};
  ScaleStep s{array(8.0f), array(0, int32)};
  std::vector<float> scales;
  std::vector<int32_t> steps;
  for (bool finite : {true, true, true, false, false, false, true}) {
    s = next_scale(s, array(finite), options);
    scales.push_back(s.scale.item<float>());
    steps.push_back(s.good_steps.item<int32_t>());
  }
  EXPECT_THAT(scales, testing::ElementsAre(8, 16, 16, 4, 1, 1, 1));
  EXPECT_THAT(steps, testing::ElementsAre(1, 0, 1, 0, 0, 0, 1));
}

TEST(LossScale, StaysFinite) {
  ScaleStep s{array(std::numeric_limits<float>::max() / 4), array(0, int32)};
  s = next_scale(s, array(true), {.interval = 1});
  EXPECT_EQ(s.scale.item<float>(), std::numeric_limits<float>::max() / 4);
}

TEST(LossScale, ScalesInFloat32AndKeepsDtypes) {
  LossScale scale;
  const array loss = scale.scaled(array(3.0, float16));
  EXPECT_EQ(loss.dtype(), float32);
  EXPECT_EQ(loss.item<float>(), 3 * 65536.0f);
  const Tree back =
      scale.unscaled(Tree::list({Tree(loss), Tree(array(32768.0, float16))}));
  EXPECT_EQ(back[0].leaf().item<float>(), 3);
  EXPECT_EQ(back[1].leaf().dtype(), float16);
  EXPECT_EQ(astype(back[1].leaf(), float32).item<float>(), 0.5f);
}

TEST(LossScale, NumbersThatAreNotFiniteAreFound) {
  const array fine = ones({3}), bad = array({1.0f, kInfinity});
  EXPECT_TRUE(all_finite(Arrays{fine, fine}).item<bool>());
  EXPECT_FALSE(all_finite(Arrays{fine, bad}).item<bool>());
  EXPECT_FALSE(all_finite(Arrays{array({NAN, 1.0f}), fine}).item<bool>());
  EXPECT_TRUE(all_finite(Arrays{}).item<bool>());
}

struct Line : nn::Module {
  array weight = array({1.0f, 2.0f});
  array frozen = array({7.0f});
  TREADLE_MODULE(Line, weight, frozen)
};

// An optimizer of every kind of state.
std::vector<std::unique_ptr<Optimizer>> optimizers_of_all_kinds() {
  std::vector<std::unique_ptr<Optimizer>> all;
  all.push_back(std::make_unique<SGD>(0.5, SgdOptions{.momentum = 0.9}));
  all.push_back(std::make_unique<AdamW>(cosine_decay(0.5, 10)));
  all.push_back(std::make_unique<Adafactor>());
  all.push_back(std::make_unique<Lion>(0.1));
  return all;
}

std::vector<float> all_numbers(const Tree& tree) {
  std::vector<float> out;
  for (const array& a : tree.leaves()) {
    for (float v : astype(a, float32).to_vector<float>()) out.push_back(v);
  }
  return out;
}

TEST(LossScale, AStepThatIsNotFiniteChangesNothingButTheScale) {
  for (auto& optimizer : optimizers_of_all_kinds()) {
    LossScale scale({.initial = 4});
    Line model;
    model.freeze({.keys = {"frozen"}});
    const Tree good = Tree::map({{"weight", Tree(array({0.5f, -1.0f}))}});
    const Tree bad = Tree::map({{"weight", Tree(array({0.5f, kInfinity}))}});

    EXPECT_TRUE(scale.update(*optimizer, model, good).item<bool>());
    const auto weight = model.weight.to_vector<float>();
    const auto state = all_numbers(optimizer->state());
    EXPECT_NE(weight, (std::vector<float>{1, 2}));

    EXPECT_FALSE(scale.update(*optimizer, model, bad).item<bool>());
    EXPECT_EQ(model.weight.to_vector<float>(), weight);
    EXPECT_EQ(all_numbers(optimizer->state()), state);
    EXPECT_EQ(scale.scale().item<float>(), 2);

    // Then as without it.
    Line other;
    other.freeze({.keys = {"frozen"}});
    other.weight = model.weight;
    const Tree before = optimizer->state();
    optimizer->update(other, good);
    optimizer->set_state(before);
    scale.update(*optimizer, model, good);
    EXPECT_EQ(model.weight.to_vector<float>(), other.weight.to_vector<float>());
  }
}

TEST(LossScale, RefusesNumbersThatMakeNoSense) {
  EXPECT_THROW(LossScale({.initial = 0}), std::invalid_argument);
  EXPECT_THROW(LossScale({.growth = 0.5}), std::invalid_argument);
  EXPECT_THROW(LossScale({.backoff = 0}), std::invalid_argument);
  EXPECT_THROW(LossScale({.interval = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace treadle::optimizers
