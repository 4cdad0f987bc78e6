// The rows `mixed` of the parity table: trainings under autocast with a loss
// scale and averaged weights. The test in Python compares the bits.
#include <cmath>
#include <fstream>
#include <memory>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "treadle/train/step.h"
#include "treadle/treadle.h"

#include "tests/nn/values.h"
#include "tests/support/parity.h"

namespace treadle::optimizers {
namespace {

using Json = nlohmann::ordered_json;
using test::Bits;
using test::fill;

const Json& rows() {
  static const Json all =
      Json::parse(std::ifstream("tests/cases/optimizer_cases.json"))["mixed"];
  return all;
}

struct Perceptron : nn::Module {
  nn::Linear first = nn::Linear(6, 8), last = nn::Linear(8, 3);
  nn::LayerNorm norm = nn::LayerNorm(8);
  TREADLE_MODULE(Perceptron, first, norm, last)
  array operator()(const array& x) const {
    return last(nn::gelu(norm(first(x))));
  }
};

std::unique_ptr<Optimizer> optimizer_of(const Json& row) {
  const Json& o = row["options"];
  if (row["optimizer"] == "SGD") {
    return std::make_unique<SGD>(o["learning_rate"].get<double>(),
                                 SgdOptions{.momentum = o["momentum"]});
  }
  EXPECT_EQ(row["optimizer"], "AdamW");
  return std::make_unique<AdamW>(
      o["learning_rate"].get<double>(),
      0.01,
      AdamOptions{.bias_correction = o["bias_correction"]});
}

class MixedParity : public testing::TestWithParam<size_t> {};

TEST_P(MixedParity, ScalesAveragesAndLearns) {
  const Json& row = rows()[GetParam()];
  const Json &s = row["scale"], &average = row["average"];
  Perceptron model;
  auto flat = model.parameters().flatten();
  for (size_t i = 0; i < flat.size(); ++i)
    flat[i].second = fill(flat[i].second.shape(), int(i));
  model.update(Tree::unflatten(flat));
  auto optimizer = optimizer_of(row);
  optimizer->init(model.trainable_parameters());
  LossScale scale({.initial = s["initial"],
                   .growth = s["growth"],
                   .backoff = s["backoff"],
                   .interval = s["interval"]});
  EMA ema(model, {.decay = average["decay"], .warmup = average["warmup"]});

  const bool half = row["dtype"] == "float16";
  auto loss_and_grads = nn::value_and_grad(
      model,
      nn::autocast(
          model,
          [&](const array& x, const array& y) {
            return scale.scaled(nn::mse_loss(model(x), y, "mean"));
          },
          half ? float16 : bfloat16));
  ArraysFn step = [&](const Arrays& in) {
    auto [loss, grads] = loss_and_grads(in[0], in[1]);
    const array finite = scale.update(*optimizer, model, scale.unscaled(grads));
    ema.update(model);
    return Arrays{scale.unscaled(loss), finite};
  };
  if (row["compiled"].get<bool>()) {
    step = train::compile_step(model,
                               *optimizer,
                               step,
                               "mixed",
                               train::joined(captured(scale), captured(ema)));
  }

  Bits bits("mixed" + std::to_string(GetParam()));
  const array x = fill({5, 6}, 20), y = fill({5, 3}, 21);
  std::vector<float> losses;
  int skipped = 0;
  for (int i = 0; i < row["steps"].get<int>(); ++i) {
    const Arrays out = step({x, y});
    losses.push_back(out[0].item<float>());
    bits.add("loss" + std::to_string(i), out[0]);
    bits.add("scale" + std::to_string(i), scale.scale());
    if (!out[1].item<bool>()) ++skipped;
  }
  for (const auto& [path, a] : model.parameters().flatten()) {
    EXPECT_EQ(a.dtype(), float32);
    bits.add("parameters." + path, a);
  }
  for (const auto& [path, a] : ema.average().flatten())
    bits.add("average." + path, a);
  for (const auto& [path, a] : optimizer->state().flatten())
    bits.add("state." + path, a);
  // Float16 reaches to 65504, bfloat16 as far as float32.
  EXPECT_EQ(skipped > 0, half);
  EXPECT_LT(losses.back(), 0.7f * losses.front());
}

INSTANTIATE_TEST_SUITE_P(Table,
                         MixedParity,
                         testing::Range<size_t>(0, rows().size()));

}  // namespace
}  // namespace treadle::optimizers
