// What all optimizers share: overriding, groups, rates, copies, saved states.
#include <sstream>

#include <gmock/gmock.h>

#include "treadle/io/safetensors.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"
#include "treadle/optimizers/multi.h"
#include "treadle/optimizers/optimizers.h"
#include "treadle/optimizers/schedules.h"

#include "tests/nn/values.h"

namespace treadle::optimizers {
namespace {

using test::expect_values;
using test::fill;
using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

Tree layer(int seed) {
  return Tree::map({{"weight", fill({3, 2}, seed)}, {"bias", fill({3}, 9)}});
}
Tree model() {
  return Tree::map(
      {{"encoder", layer(1)}, {"layers", Tree::list({layer(2), layer(3)})}});
}
Tree ones() {
  return model().map_leaves([](const array& a) { return ones_like(a); });
}

// How far a step moves the first number of each parameter.
std::vector<float> moved(Optimizer& o, const Tree& parameters) {
  std::vector<float> out;
  const Arrays before = parameters.leaves();
  const Arrays after = o.apply_gradients(ones(), parameters).leaves();
  for (size_t i = 0; i < before.size(); ++i) {
    out.push_back(array(before[i] - after[i]).to_vector<float>()[0]);
  }
  return out;
}
Tree zeros_like_model() {
  return model().map_leaves([](const array& a) { return zeros_like(a); });
}

struct Signs : Optimizer {
  explicit Signs(const Rate& rate) : Optimizer(rate) {}
  Tree init_single(const array& parameter) const override {
    return Tree::map({{"count", zeros_like(parameter)}});
  }
  array apply_single(const array& g, const array& w, Tree& state) override {
    state["count"] = Tree(state["count"].leaf() + 1);
    return w - learning_rate() * sign(g) / state["count"].leaf();
  }
};

TEST(Optimizer, OfOnesOwnNeedsTwoFunctions) {
  Signs o(0.5);
  EXPECT_EQ(moved(o, zeros_like_model())[0], 0.5f);
  EXPECT_EQ(moved(o, zeros_like_model())[5], 0.25f);
  EXPECT_EQ(o.step().item<int>(), 2);
  const Tree& state = o.state().at("layers")[1].at("bias");
  EXPECT_EQ(state.at("count").leaf().to_vector<float>()[0], 2);
}

struct Halved : AdamW {
  explicit Halved(double rate) : AdamW(rate) {}
  int calls = 0;

 protected:
  array apply_single(const array& g, const array& w, Tree& state) override {
    ++calls;
    return AdamW::apply_single(g / 2, w, state);
  }
};

TEST(Optimizer, MayHaveAStepOfItsOwn) {
  Halved o(0.1);
  AdamW plain(0.1);
  Tree p = model(), q = model();
  const Tree half = ones().map_leaves([](const array& g) { return g / 2; });
  for (int s = 0; s < 3; ++s) {
    p = o.apply_gradients(ones(), p);
    q = plain.apply_gradients(half, q);
  }
  EXPECT_EQ(o.calls, 3 * 6);
  for (size_t i = 0; i < p.leaves().size(); ++i) {
    expect_values(p.leaves()[i], q.leaves()[i].to_vector<double>());
  }
  EXPECT_EQ(o.state().flatten().size(), plain.state().flatten().size());
}

TEST(Optimizer, GivesGroupsTheirOwnRates) {
  SGD o(1);
  o.add_group("layers", {.learning_rate = 2})
      .add_group("*.bias", {.learning_rate = linear_schedule(4, 0, 4)})
      .add_group("layers.1.bias", {.learning_rate = 8});
  const Tree p = zeros_like_model();
  EXPECT_THAT(moved(o, p), ElementsAre(1, 4, 2, 2, 2, 8));
  EXPECT_THAT(moved(o, p), ElementsAre(1, 3, 2, 2, 2, 8));
  EXPECT_EQ(o.learning_rate().item<float>(), 1);
  const Tree& rates = o.state().at("group_rates");
  ASSERT_EQ(rates.size(), 3u);
  EXPECT_EQ(rates[1].leaf().item<float>(), 3);
}

TEST(Optimizer, GivesGroupsTheirOwnWeightDecay) {
  AdamW o(0.1, 0.5);
  o.add_group("layers", {.learning_rate = 0.2});
  o.add_group("*.bias", {.weight_decay = 0});
  const Tree zero = zeros_like_model();
  Tree p = o.apply_gradients(zero, ones());
  auto first = [](const Tree& t) { return t.leaf().to_vector<float>()[0]; };
  EXPECT_FLOAT_EQ(first(p.at("encoder").at("weight")), 0.95f);
  EXPECT_FLOAT_EQ(first(p.at("encoder").at("bias")), 1);
  EXPECT_FLOAT_EQ(first(p.at("layers")[1].at("weight")), 0.9f);
  EXPECT_FLOAT_EQ(first(p.at("layers")[1].at("bias")), 1);
  // As without groups once they are left.
  AdamW plain(0.1, 0.5);
  plain.apply_gradients(zero, ones());
  EXPECT_EQ(plain.learning_rate().item<float>(),
            o.learning_rate().item<float>());
}

TEST(Optimizer, RefusesGroupsThatItCannotServe) {
  Adam adam;
  EXPECT_THAT(message_of([&] { adam.add_group("*", {.weight_decay = 1}); }),
              HasSubstr("'*' is given a weight decay"));
  EXPECT_THAT(message_of([&] { adam.add_group("a", {}); }),
              HasSubstr("neither a learning rate nor a weight decay"));
  Adafactor adafactor;
  EXPECT_THAT(
      message_of([&] { adafactor.add_group("a", {.learning_rate = 1}); }),
      HasSubstr("chooses its own"));
  Adafactor relative(0.1);
  EXPECT_THAT(
      message_of([&] { relative.add_group("a", {.learning_rate = 1}); }),
      HasSubstr("chooses its own unless relative_step is false"));
  MultiOptimizer multi({std::make_shared<SGD>(1)});
  EXPECT_THAT(message_of([&] { multi.add_group("a", {.learning_rate = 1}); }),
              HasSubstr("add groups to the optimizers"));
}

TEST(Optimizer, GroupsWithoutAParameterAreErrorsOfTheNextStep) {
  SGD o(1);
  o.add_group("layer", {.learning_rate = 2});
  const Tree p = zeros_like_model();
  EXPECT_THAT(message_of([&] { o.apply_gradients(p, p); }),
              HasSubstr("[add_group] no parameter is at 'layer'; there are "
                        "'encoder.weight', 'encoder.bias', 'layers.0."));
  EXPECT_EQ(o.step().item<int>(), 0);
  // Parameters without a gradient count, and so does the rest.
  SGD some(1);
  some.add_group("encoder", {.learning_rate = 2})
      .add_group("default", {.learning_rate = 3});
  const Tree gradients = Tree::map({{"layers", p.at("layers")}});
  some.apply_gradients(gradients, p);
  some.add_group("*.wait", {.learning_rate = 2});
  EXPECT_THAT(message_of([&] { some.apply_gradients(gradients, p); }),
              HasSubstr("no parameter is at '*.wait'"));
}

TEST(Optimizer, StatesThatDoNotFitAreNamed) {
  const Tree p = zeros_like_model();
  Lion lion;
  lion.init(p);
  AdaDelta other;
  other.set_state(lion.state());
  EXPECT_THAT(message_of([&] { other.apply_gradients(p, p); }),
              HasSubstr("the state of 'encoder.weight' has no '"));
  Adafactor matrix;
  matrix.set_state(lion.state());
  EXPECT_THAT(message_of([&] { matrix.apply_gradients(p, p); }),
              HasSubstr("the state of 'encoder.weight' has no 'exp_avg_sq"));
  Tree state = lion.state();
  state["encoder"]["bias"]["m"] = Tree(zeros({7}));
  lion.set_state(state);
  EXPECT_THAT(message_of([&] { lion.apply_gradients(p, p); }),
              HasSubstr("the state of 'encoder.bias' has a (7,) as 'm'"));
}

struct Refusing : Signs {
  using Signs::Signs;
  array apply_single(const array&, const array&, Tree&) override {
    throw std::runtime_error("no step");
  }
};

TEST(Optimizer, AStepThatFailsLeavesNothingBehind) {
  AdamW o(0.1);
  const Tree p = model();
  const Tree wrong = p.map_leaves([](const array& a) {
    return treadle::ones({2, a.shape(0), 2});
  });
  EXPECT_THAT(message_of([&] { o.apply_gradients(wrong, p); }),
              HasSubstr("the gradient of 'encoder.weight' is"));
  EXPECT_EQ(o.state().num_leaves(), 2u);
  const Tree after = o.apply_gradients(ones(), p);
  for (size_t i = 0; i < p.num_leaves(); ++i) {
    EXPECT_EQ(after.leaves()[i].shape(), p.leaves()[i].shape());
  }
  EXPECT_EQ(o.step().item<int>(), 1);
  Refusing refusing(0.1);
  EXPECT_THROW(refusing.apply_gradients(ones(), p), std::runtime_error);
  EXPECT_EQ(refusing.step().item<int>(), 0);
}

TEST(Optimizer, TakesAScheduleLater) {
  SGD o(1);
  const Tree p = zeros_like_model();
  EXPECT_EQ(moved(o, p)[0], 1);
  o.set_learning_rate(step_decay(8, 0.5, 1));
  EXPECT_EQ(moved(o, p)[0], 4);
  EXPECT_EQ(moved(o, p)[0], 2);
  Adafactor with_rate({.scale_parameter = false, .relative_step = false});
  with_rate.set_learning_rate(0.25);
  EXPECT_FLOAT_EQ(moved(with_rate, p)[1], 0.25);
}

TEST(Optimizer, CopiesAreIndependent) {
  AdamW o(0.1);
  Tree p = o.apply_gradients(ones(), model());
  AdamW other = o;
  other.apply_gradients(ones(), p);
  EXPECT_EQ(o.step().item<int>(), 1);
  EXPECT_EQ(other.step().item<int>(), 2);
  EXPECT_FLOAT_EQ(
      o.state().at("encoder").at("bias").at("m").leaf().to_vector<float>()[0],
      0.1f);
}

std::vector<std::pair<std::string, std::shared_ptr<Optimizer>>> parts() {
  return {{"layers",
           std::make_shared<AdamW>(
               0.01, 0.1, AdamOptions{.bias_correction = true})},
          {"*", std::make_shared<SGD>(0.1, SgdOptions{.momentum = 0.9})}};
}

TEST(Optimizer, GoesOnFromAFileBitForBit) {
  const std::string path = testing::TempDir() + "/optimizer.safetensors";
  MultiOptimizer whole(parts(), model()), first(parts(), model());
  Tree p = model(), q = model();
  for (int s = 0; s < 3; ++s) {
    p = whole.apply_gradients(ones(), p);
    q = first.apply_gradients(ones(), q);
  }
  auto named = q.flatten("model");
  for (auto& entry : first.state().flatten("optimizer")) named.push_back(entry);
  save_safetensors(path, named);

  Tree saved = Tree::unflatten(load_safetensors(path).tensors);
  MultiOptimizer second(parts(), model());
  second.set_state(saved.at("optimizer"));
  q = saved.at("model");
  for (int s = 0; s < 3; ++s) {
    p = whole.apply_gradients(ones(), p);
    q = second.apply_gradients(ones(), q);
  }
  EXPECT_EQ(second.step().item<int>(), 6);
  for (const auto& [path_, a] : p.flatten()) {
    bool found = false;
    for (const auto& [other, b] : q.flatten()) {
      if (other != path_) continue;
      found = true;
      EXPECT_EQ(a.to_vector<float>(), b.to_vector<float>()) << other;
    }
    EXPECT_TRUE(found) << path_;
  }
}

TEST(Schedules, AreValuesThatPrintThemselves) {
  JoinedSchedules a =
      join_schedules({linear_schedule(0, 1, 4), cosine_decay(1e-5, 20)}, {4});
  JoinedSchedules b = a;
  EXPECT_EQ(a, b);
  b.boundaries = {5};
  EXPECT_NE(a, b);
  std::ostringstream out;
  out << a << " " << Schedule(b);
  EXPECT_THAT(
      out.str(),
      HasSubstr("join_schedules(schedules=[linear_schedule(init=0.0, end=1.0, "
                "steps=4), cosine_decay(init=1e-05, decay_steps=20, "
                "end=0.0)], boundaries=[4]) join_schedules("));
  Schedule function([](const array& step) { return step * 2.0f; });
  Schedule copy = function;
  EXPECT_EQ(copy, function);
  EXPECT_EQ(function.to_string(), "function");
  EXPECT_NE(function, Schedule([](const array& step) { return step; }));
}

}  // namespace
}  // namespace treadle::optimizers
