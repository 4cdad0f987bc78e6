// What a call has recorded: costs, tables, and the first number that is not
// finite.
#include "treadle/nn/modules/observe.h"

#include <gmock/gmock.h>

#include "treadle/treadle.h"

#include "tests/nn/values.h"

namespace treadle::nn {
namespace {

using test::message_of;
using testing::HasSubstr;

TEST(Flops, CountProductsConvolutionsAttentionAndLoops) {
  const auto of = [](const Arrays& y, uint64_t since) {
    return flops(y, since);
  };
  uint64_t since = next_seq();
  EXPECT_EQ(of({Linear(4, 3)(zeros({2, 5, 4}))}, since), 2 * 10 * 12);
  Conv2d conv(3, 8, 3, 1, 1, 1, 1, false);
  since = next_seq();
  EXPECT_EQ(of({conv(zeros({2, 6, 7, 3}))}, since), 2 * 2 * 6 * 7 * 8 * 27);
  LSTM lstm(5, 4);
  since = next_seq();
  EXPECT_EQ(of({lstm(zeros({2, 6, 5})).first}, since),
            2 * 2 * 6 * 16 * (5 + 4));
  MultiHeadAttention attention(8, 2);
  since = next_seq();
  EXPECT_EQ(of({attention(zeros({3, 5, 8}))}, since),
            4 * 2 * 3 * 5 * 64 + 2 * 2 * 3 * 5 * 5 * 8);
}

TEST(Summary, ListsModulesShapesParametersAndFlops) {
  Sequential model(Linear(3, 4), relu, Linear(4, 2));
  const array x = zeros({5, 3});
  const std::string text = summary(model, [&] { return Arrays{model(x)}; });
  EXPECT_THAT(text, testing::StartsWith("module"));
  EXPECT_THAT(
      text,
      testing::ContainsRegex("\nlayers\\.0 +Linear +\\(5, 4\\) +16 +120"));
  EXPECT_THAT(
      text, testing::ContainsRegex("\nlayers\\.2 +Linear +\\(5, 2\\) +10 +80"));
  EXPECT_THAT(text, HasSubstr("26 parameters (26 trainable), 104 B; 200 FLOP"));
}

TEST(Summary, NamesPlacesAsErrorsDoAndCountsSharedModulesOnce) {
  struct Tied : Module {
    Shared<Linear> encode{Linear(3, 3, false)}, decode = encode;
    Sequential inner{relu, Linear(3, 4)};
    TREADLE_MODULE(Tied, encode, decode, inner)
    array operator()(const array& x) const { return inner(decode(encode(x))); }
  };
  Sequential model{Tied()};
  const array x = zeros({2, 3});
  const std::string text = summary(model, [&] { return Arrays{model(x)}; });
  for (const char* line : {"\\(model\\) +Sequential .* 25 ",
                           "layers\\.0 +Tied .* 25 ",
                           "layers\\.0\\.encode +Linear .* 9 ",
                           "layers\\.0\\.decode +Linear .* 9 ",
                           "layers\\.0\\.inner\\.layers\\.1 +Linear .* 16 ",
                           "25 parameters \\(25 trainable\\)"}) {
    EXPECT_THAT(text, testing::ContainsRegex(std::string("\n") + line));
  }
}

TEST(CheckFinite, NamesTheFirstLayerAndOperation) {
  struct Log : Module {
    TREADLE_MODULE(Log)
    array operator()(const array& x) const { return log(x); }
  };
  Sequential model(Linear(2, 3), Log(), Linear(3, 1));
  model.update(
      {{"layers.0.weight", -ones({3, 2})}, {"layers.0.bias", zeros({3})}});
  model.remember_paths();
  EXPECT_THAT(message_of([&] {
                check_finite({model(ones({1, 2}))});
              }),
              testing::AllOf(HasSubstr("layers.1 (Log): [log]"),
                             HasSubstr("not finite")));
  EXPECT_EQ(message_of([&] { check_finite({model(-ones({1, 2}))}); }), "");
}

TEST(CheckFinite, NamesTheLayerOfAGradient) {
  struct Root : Module {
    TREADLE_MODULE(Root)
    array operator()(const array& x) const { return sqrt(x); }
  };
  Sequential model(Linear(2, 3, false), Root(), Linear(3, 1));
  model.update({{"layers.0.weight", zeros({3, 2})}});
  auto [loss, grads] = value_and_grad(
      model, [&](const array& x) { return sum(model(x)); })(ones({1, 2}));
  EXPECT_EQ(message_of([&] { check_finite({sum(model(ones({1, 2})))}); }), "");
  EXPECT_THAT(message_of([&] { check_finite(grads.leaves()); }),
              HasSubstr("layers.1 (Root): ["));
}

}  // namespace
}  // namespace treadle::nn
