#include "treadle/optimizers/multi.h"

#include <gmock/gmock.h>

#include "treadle/ops/create.h"
#include "treadle/optimizers/optimizers.h"

#include "tests/nn/values.h"

namespace treadle::optimizers {
namespace {

using test::message_of;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

Tree layer() {
  return Tree::map({{"weight", Tree(zeros({2, 2}))}, {"bias", zeros({2})}});
}
Tree model() {
  return Tree::map(
      {{"encoder", layer()}, {"layers", Tree::list({layer(), layer()})}});
}
Tree gradients() {
  return model().map_leaves([](const array& a) { return ones_like(a); });
}

// How far a step moves each parameter.
std::map<std::string, int> moved(Optimizer& o) {
  std::map<std::string, int> out;
  for (auto& [path, a] : o.apply_gradients(gradients(), model()).flatten()) {
    out[path] = -int(a.to_vector<float>()[0]);
  }
  return out;
}

MultiOptimizer::Part sgd(double rate) { return std::make_shared<SGD>(rate); }

TEST(MultiOptimizer, GoesByFilters) {
  MultiOptimizer o({sgd(1), sgd(2)},
                   {[](const std::string& path, const array&) {
                     return path.ends_with("bias");
                   }});
  EXPECT_THAT(moved(o),
              UnorderedElementsAre(Pair("encoder.weight", 2),
                                   Pair("encoder.bias", 1),
                                   Pair("layers.0.weight", 2),
                                   Pair("layers.0.bias", 1),
                                   Pair("layers.1.weight", 2),
                                   Pair("layers.1.bias", 1)));
}

TEST(MultiOptimizer, GoesByTheLongestPath) {
  MultiOptimizer o({{"*", sgd(1)},
                    {"layers", sgd(2)},
                    {"layers.1", sgd(3)},
                    {"e*.b?as", sgd(4)}},
                   model());
  EXPECT_THAT(moved(o),
              UnorderedElementsAre(Pair("encoder.weight", 1),
                                   Pair("encoder.bias", 4),
                                   Pair("layers.0.weight", 2),
                                   Pair("layers.0.bias", 2),
                                   Pair("layers.1.weight", 3),
                                   Pair("layers.1.bias", 3)));
}

TEST(MultiOptimizer, NamesParametersThatNobodyTakes) {
  EXPECT_THAT(
      message_of([] {
        MultiOptimizer({{"encoder", sgd(1)}, {"layers.0", sgd(1)}}, model());
      }),
      HasSubstr("no optimizer takes layers.1.weight, layers.1.bias; "
                "the keys are encoder, layers.0."));
  EXPECT_THROW(MultiOptimizer({sgd(1), sgd(2)}), std::invalid_argument);
}

TEST(MultiOptimizer, NamesKeysWithoutParameters) {
  EXPECT_THAT(message_of([] {
                MultiOptimizer({{"encode", sgd(1)}, {"*", sgd(1)}}, model());
              }),
              HasSubstr("[MultiOptimizer] no parameter is at 'encode'; there "
                        "are 'encoder.weight', "));
}

TEST(MultiOptimizer, HoldsTheStatesOfItsParts) {
  MultiOptimizer o({{"encoder", std::make_shared<Adam>(1e-3)},
                    {"default", std::make_shared<Lion>(0.5)}},
                   model());
  o.init(model());
  o.apply_gradients(gradients(), model());
  EXPECT_EQ(o.step().item<int>(), 1);
  const Tree& states = o.state().at("states");
  ASSERT_EQ(states.size(), 2u);
  EXPECT_NE(states[0].at("encoder").at("bias").find("v"), nullptr);
  EXPECT_NE(states[1].at("layers")[1].at("weight").find("m"), nullptr);
  EXPECT_EQ(states[1].find("encoder")->num_leaves(), 0u);
  o.set_learning_rate(0.25f);
  EXPECT_EQ(o.optimizers()[1]->learning_rate().item<float>(), 0.25f);
  o.set_state(o.state());
  EXPECT_THROW(o.set_state(Tree::map()), std::invalid_argument);
}

}  // namespace
}  // namespace treadle::optimizers
