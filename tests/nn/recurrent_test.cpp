// Recurrent layers beside single steps written out. Values against MLX are in
// the parity table.
#include "treadle/nn/modules/recurrent.h"

#include <gmock/gmock.h>

#include "treadle/runtime/explain.h"
#include "treadle/treadle.h"

#include "tests/nn/values.h"

namespace treadle::nn {
namespace {

using test::fill;
using test::message_of;

void expect_equal(const array& a, const array& b, float tolerance = 2e-6f) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_LE(max(abs(a - b)).item<float>(), tolerance);
}

array step_of(const array& x, int64_t t) { return at(x, {t}); }

std::vector<std::string> names_of(const Module& m) {
  std::vector<std::string> names;
  for (auto& [name, value] : m.parameters().flatten()) names.push_back(name);
  return names;
}

TEST(Recurrent, LayersAndDirectionsAreListedAsInPython) {
  EXPECT_THAT(names_of(LSTM(3, 4, true, 2, true)),
              testing::ElementsAre("Wx",
                                   "Wh",
                                   "bias",
                                   "Wx_l0_reverse",
                                   "Wh_l0_reverse",
                                   "bias_l0_reverse",
                                   "Wx_l1",
                                   "Wh_l1",
                                   "bias_l1",
                                   "Wx_l1_reverse",
                                   "Wh_l1_reverse",
                                   "bias_l1_reverse"));
  EXPECT_THAT(names_of(GRU(3, 4, false)), testing::ElementsAre("Wx", "Wh"));
  EXPECT_EQ(RNN(3, 4, true, relu, 2, true).weights[2].wx.shape(),
            (Shape{4, 8}));
}

TEST(Recurrent, TheWayBackStartsAtTheLastStep) {
  RNN both(3, 4, true, "tanh", 1, true);
  RNN back(3, 4);
  back.weights[0] = both.weights[1];
  const array x = fill({2, 5, 3}, 1), y = both(x);
  const array turned = back(flip(x, 1));
  expect_equal(slice(y, {0, 0, 4}, {2, 5, 8}), flip(turned, 1));
}

TEST(Recurrent, StatesBeforeTheFirstStepAreTaken) {
  LSTM layer(3, 4);
  const RecurrentWeights& w = layer.weights[0];
  const array x = fill({1, 3}, 1), h = fill({4}, 2), c = fill({4}, 3);
  auto [hs, cs] = layer(x, h, c);
  const Arrays gates =
      split(linear(step_of(x, 0), w.wx, w.bias) + matmul(w.wh, h), 4, -1);
  const array next = sigmoid(gates[1]) * c + sigmoid(gates[0]) * tanh(gates[2]);
  expect_equal(step_of(cs, 0), next);
  expect_equal(step_of(hs, 0), sigmoid(gates[3]) * tanh(next));
}

TEST(Recurrent, AllStepsAreOneLoop) {
  LSTM layer(3, 4);
  const array x = fill({2, 50, 3}, 1);
  auto loss = [&](const Arrays& a) {
    layer.weights[0].wh = a[1];
    return Arrays{sum(layer(a[0]).first)};
  };
  const std::string plan =
      plan_text(grad(loss, {0, 1})({x, layer.weights[0].wh}));
  size_t loops = 0;
  for (size_t at = plan.find("scan"); at != std::string::npos;
       at = plan.find("scan", at + 1)) {
    ++loops;
  }
  EXPECT_GT(loops, 0u) << plan;
  EXPECT_LT(plan.size(), 8000u) << plan;
}

TEST(Recurrent, TextsSayWhatThereIs) {
  EXPECT_EQ(RNN(2, 3, false, "relu").to_string(),
            "RNN(input_dims=2, hidden_size=3, nonlinearity=relu, bias=False)");
  EXPECT_EQ(GRU(2, 3, true, 2, true).to_string(),
            "GRU(input_dims=2, hidden_size=3, bias=True, num_layers=2, "
            "bidirectional=True)");
  EXPECT_THAT(message_of([] { RNN(2, 3, true, "sine"); }),
              testing::HasSubstr("'sine' is not known; expected one of"));
  const std::function<array(const array&)> none;
  EXPECT_THAT(
      message_of([&] { RNN(2, 3, true, none); }),
      testing::HasSubstr("[rnn] the nonlinearity is an empty function"));
  EXPECT_THAT(
      message_of([&] { TransformerDecoderLayer(4, 2, {.activation = none}); }),
      testing::HasSubstr("[transformer] the activation is an empty"));
  EXPECT_THAT(message_of([] {
                LSTM(2, 3)(zeros({4, 5, 3}));
              }),
              testing::HasSubstr("[lstm] the weights are"));
}

TEST(Recurrent, EveryActivationHasItsName) {
  const array x = fill({2, 4}, 1, 3);
  for (const char* name : {"tanh",
                           "relu",
                           "sigmoid",
                           "gelu",
                           "softplus",
                           "leaky_relu",
                           "softmax",
                           "hard_shrink",
                           "mish"}) {
    EXPECT_EQ(activation_named(name)(x).ndim(), 2) << name;
  }
  expect_equal(activation_named("elu")(x), elu(x), 0);
}

}  // namespace
}  // namespace treadle::nn
