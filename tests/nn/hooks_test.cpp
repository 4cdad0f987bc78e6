// Hooks and captured outputs of modules, by the paths of the modules.
#include "treadle/nn/modules/hooks.h"

#include <gmock/gmock.h>

#include "treadle/treadle.h"

#include "tests/nn/values.h"

namespace treadle::nn {
namespace {

using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Block : Module {
  explicit Block(int dims) : linear(Linear(dims, dims)), norm(dims) {}
  Unary linear;
  LayerNorm norm;
  TREADLE_MODULE(Block, linear, norm)
  array operator()(const array& x) const {
    const Call call(*this);
    return call(x + norm(linear(x)));
  }
};

struct Model : Module {
  Unary first = Linear(3, 4);
  std::vector<Block> layers{Block(4), Block(4)};
  Unary last = Linear(4, 2);
  TREADLE_MODULE(Model, first, layers, last)
  array operator()(const array& x) const {
    const Call call(*this);
    array h = relu(first(x));
    for (const Block& layer : layers) h = layer(h);
    return call(last(h));
  }
};

std::vector<std::string> paths_of(const Capture& c) {
  std::vector<std::string> paths;
  for (const auto& [path, outputs] : c.calls()) paths.push_back(path);
  return paths;
}

TEST(Capture, KeepsOutputsByPath) {
  Model model;
  const array x = random::normal({5, 3}), expected = model(x);
  Capture outputs(model, "layers.*.norm");
  const array y = model(x);
  EXPECT_THAT(paths_of(outputs), ElementsAre("layers.0.norm", "layers.1.norm"));
  EXPECT_EQ(outputs["layers.0.norm"].shape(), (Shape{5, 4}));
  EXPECT_EQ(y.to_vector<float>(), expected.to_vector<float>());
}

TEST(Capture, CallsAreInTheOrderInWhichTheyEnd) {
  Model model;
  Capture all(model);
  model(zeros({1, 3}));
  // A layer in a Unary is one call, not two.
  EXPECT_THAT(paths_of(all),
              ElementsAre("first",
                          "layers.0.linear",
                          "layers.0.norm",
                          "layers.0",
                          "layers.1.linear",
                          "layers.1.norm",
                          "layers.1",
                          "last",
                          ""));
  Capture some(model, {"", "first"});
  model(zeros({1, 3}));
  model(ones({1, 3}));
  EXPECT_THAT(paths_of(some), ElementsAre("first", "", "first", ""));
  EXPECT_EQ(some[""].shape(), (Shape{1, 2}));
}

TEST(Capture, SaysWhatThereIs) {
  Model model;
  Capture outputs(model, "la*");
  model(zeros({1, 3}));
  EXPECT_THAT(message_of([&] { outputs["first"]; }),
              HasSubstr("'first'; there are: layers.0.linear"));
}

TEST(Capture, APatternWithoutAModuleIsAnError) {
  Model model;
  EXPECT_THAT(message_of([&] {
                Capture(model, {"first", "layer.*"});
              }),
              AllOf(HasSubstr("[Hooks] no module is at 'layer.*'; there are "),
                    HasSubstr("'layers.1.norm', "),
                    HasSubstr(", ... (9 in all).")));
  // Nobody watches after it.
  model(zeros({1, 3}));
}

TEST(Capture, EndsWithItsScopeAndWatchesThisModelOnly) {
  Linear one(2, 2), other(2, 2);
  {
    Capture outputs(one);
    other(zeros({1, 2}));
    EXPECT_TRUE(outputs.calls().empty());
    one(zeros({1, 2}));
    EXPECT_THAT(paths_of(outputs), ElementsAre(""));
    EXPECT_THROW(one(zeros({1, 3})), std::invalid_argument);
    one(zeros({1, 2}));
    EXPECT_EQ(outputs.calls().size(), 2u);
  }
  bool called = false;
  {
    Hooks hooks(one, [&](const auto&, const auto&, Arrays&) { called = true; });
  }
  one(zeros({1, 2}));
  EXPECT_FALSE(called);
}

TEST(Capture, HasAllResultsOfALayer) {
  LSTM lstm(3, 4);
  Capture outputs(lstm);
  auto [hidden, cell] = lstm(random::normal({2, 5, 3}));
  ASSERT_EQ(outputs.calls().size(), 1u);
  const Arrays& both = outputs.calls()[0].second;
  EXPECT_TRUE(same_array(both[0], hidden));
  EXPECT_TRUE(same_array(both[1], cell));
}

TEST(Capture, EveryPartOfATransformerIsSeen) {
  Transformer model(4, 2, 1, 1);
  Capture outputs(model);
  model(zeros({1, 3, 4}), zeros({1, 2, 4}));
  std::vector<std::string> called = paths_of(outputs), all;
  for (const auto& [path, module] : model.named_modules()) all.push_back(path);
  EXPECT_THAT(called, testing::UnorderedElementsAreArray(all));
}

TEST(Hooks, MayReplaceOutputs) {
  Model model;
  const array x = random::normal({5, 3});
  {
    Hooks hooks(model,
                [](const std::string&, const Module&, Arrays& y) {
                  y[0] = zeros_like(y[0]);
                },
                {"last"});
    EXPECT_EQ(max(abs(model(x))).item<float>(), 0);
  }
  EXPECT_GT(max(abs(model(x))).item<float>(), 0);
}

TEST(Hooks, ThatLoseAResultAreNamed) {
  Model model;
  Hooks hooks(model,
              [](const std::string&, const Module&, Arrays& y) { y.clear(); },
              {"last"});
  EXPECT_THAT(message_of([&] {
                model(zeros({1, 3}));
              }),
              HasSubstr("a hook gives 0 results for 'last'; expected 1"));
}

TEST(Hooks, ActivationsAreDifferentiatedThrough) {
  Sequential model(Linear(2, 3), relu);
  const array x = random::normal({4, 2});
  auto [loss, grads] = value_and_grad(model, [&](const array& v) {
    Capture outputs(model, "layers.0");
    model(v);
    return sum(square(outputs["layers.0"]));
  })(x);
  const auto& linear =
      dynamic_cast<Linear&>(*model.named_leaf_modules()[0].second);
  const array expected = 2 * matmul(transpose(linear(x)), x);
  EXPECT_LT(max(abs(grads.leaves()[0] - expected)).item<float>(), 1e-5f);
}

struct Mean : Module {
  TREADLE_MODULE(Mean)
  array operator()(const array& x, const Mask&) const {
    return mean(x, 1, true);
  }
};

TEST(Transformer, TakesEncodersAndDecodersOfOtherTypes) {
  TransformerOf model(Mean(), TransformerDecoder(1, 4, 2));
  const array source = random::normal({2, 5, 4}), target = zeros({2, 3, 4});
  const array y = model(source, target);
  EXPECT_EQ(y.shape(), (Shape{2, 3, 4}));
  EXPECT_LT(
      max(abs(y - model.decoder(target, mean(source, 1, true)))).item<float>(),
      1e-6f);
  EXPECT_EQ(model.parameters().flatten()[0].first.rfind("decoder.", 0), 0u);
  const TransformerOf copy = model;
  EXPECT_EQ(copy.type_name(), "Transformer");
}

}  // namespace
}  // namespace treadle::nn
