// nn::checkpoint: the same gradients with a lower peak of memory.
#include "treadle/nn/modules/checkpoint.h"

#include <gtest/gtest.h>

#include "treadle/runtime/memory.h"
#include "treadle/treadle.h"

namespace treadle::nn {
namespace {

struct Block : Module {
  Unary l1 = Linear(64, 64), l2 = Linear(64, 64), l3 = Linear(64, 64);
  TREADLE_MODULE(Block, l1, l2, l3)
  array operator()(const array& x) const {
    return x + l3(tanh(l2(tanh(l1(x)))));
  }
};

struct Deep : Module {
  std::vector<Block> layers = std::vector<Block>(8);
  bool checkpointed = false;
  TREADLE_MODULE(Deep, layers)
  array operator()(const array& x) const {
    array y = x;
    for (const Block& layer : layers) {
      y = checkpointed ? checkpoint(layer)(y) : layer(y);
    }
    return y;
  }
};

struct Measured {
  double peak = 0;
  Arrays gradients;
};

template <class Model>
Measured gradient_of(Model& model, const array& x, bool compiled) {
  auto loss_and_grads = value_and_grad(
      model, [&](const array& v) { return mean(square(model(v))); });
  ArraysFn run = [&](const Arrays& in) {
    return loss_and_grads(in[0]).second.leaves();
  };
  if (compiled) run = compile(run);
  eval(model.parameters().leaves());
  x.eval();
  reset_peak_memory();
  const double before = double(get_peak_memory());
  Measured m;
  m.gradients = run({x});
  eval(m.gradients);
  m.peak = double(get_peak_memory()) - before;
  return m;
}

void expect_less(const Measured& with, const Measured& without, double share) {
  EXPECT_LT(with.peak, share * without.peak);
  ASSERT_EQ(with.gradients.size(), without.gradients.size());
  for (size_t i = 0; i < with.gradients.size(); ++i) {
    const array &a = with.gradients[i], &b = without.gradients[i];
    EXPECT_LE(max(abs(a - b)).item<float>(),
              1e-5f * max(abs(b)).item<float>() + 1e-8f);
  }
}

TEST(NnCheckpoint, OfModulesLowersThePeak) {
  Deep model;
  const array x = random::normal({2048, 64});
  for (bool compiled : {false, true}) {
    model.checkpointed = false;
    const Measured without = gradient_of(model, x, compiled);
    model.checkpointed = true;
    expect_less(gradient_of(model, x, compiled), without, 0.65);
  }
}

TEST(NnCheckpoint, OfAStackOfTransformerLayersLowersThePeak) {
  TransformerEncoder plain(4, 32, 4),
      checkpointed(4, 32, 4, {.checkpoint = true});
  checkpointed.update(plain.parameters());
  const array x = random::normal({8, 64, 32});
  const Measured without = gradient_of(plain, x, false);
  expect_less(gradient_of(checkpointed, x, false), without, 0.65);
}

}  // namespace
}  // namespace treadle::nn
