// Adapts a trained network with low-rank updates (Hu et al. 2021): a network
// learns a function; then it is frozen, its layers get two small factors each,
// and these alone learn another.
//
//   build/release/examples/lora
#include <cstdio>
#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "treadle/treadle.h"

namespace nn = treadle::nn;
namespace optim = treadle::optimizers;
using treadle::array;
using treadle::Range;

// A linear layer plus scale x A^T B^T. B starts at 0, so that nothing changes
// at first.
struct LoraLinear : nn::Linear {
  explicit LoraLinear(const nn::Linear& linear, int rank = 2, double scale = 4)
      : nn::Linear(linear),
        lora_a(nn::init::he_normal()({rank, weight.shape(1)})),
        lora_b(treadle::zeros({weight.shape(0), rank})),
        scale(scale) {}

  array lora_a, lora_b;
  double scale;
  TREADLE_MODULE(LoraLinear, weight, bias, lora_a, lora_b)

  array operator()(const array& x) const {
    const array small = matmul(matmul(x, transpose(lora_a)), transpose(lora_b));
    return nn::Linear::operator()(x) + scale * small;
  }
};

struct Mlp : nn::Module {
  explicit Mlp(int hidden = 64)
      : layers{nn::Linear(2, hidden),
               nn::Linear(hidden, hidden),
               nn::Linear(hidden, 1)} {}

  std::vector<nn::Unary> layers;
  TREADLE_MODULE(Mlp, layers)

  array operator()(const array& x) const {
    return layers[2](nn::gelu(layers[1](nn::gelu(layers[0](x)))));
  }
};

struct Options {
  std::string save;
  int steps = 400;
  double rate = 1e-2;
  uint64_t seed = 0;
};

using Function = std::function<array(const array& x, const array& y)>;

// The first and the last loss of fitting target(x, y), both in [-1, 1].
std::pair<double, double> fit(Mlp& model,
                              const Function& target,
                              const Options& o) {
  optim::Adam optimizer(o.rate);
  auto loss_and_grads = nn::value_and_grad(model, [&](const array& points) {
    const array x = treadle::at(points, {Range{}, Range{0, 1}});
    const array y = treadle::at(points, {Range{}, Range{1, 2}});
    return nn::mse_loss(model(points), target(x, y), "mean");
  });
  std::pair<double, double> losses;
  for (int i = 0; i < o.steps; ++i) {
    auto [loss, grads] =
        loss_and_grads(treadle::random::uniform(-1.0, 1.0, {64, 2}));
    optimizer.update(model, grads);
    losses.second = loss.item<double>();
    if (i == 0) losses.first = losses.second;
  }
  return losses;
}

int64_t trainable(const Mlp& model) {
  int64_t n = 0;
  for (const array& a : model.trainable_parameters().leaves()) n += a.size();
  return n;
}

void run(const Options& o) {
  treadle::random::seed(o.seed);
  Mlp model;
  auto [first, last] = fit(
      model, [](const array& x, const array& y) { return sin(3 * x) * y; }, o);
  std::printf("base: loss %.4f -> %.4f, %lld trainable numbers\n",
              first,
              last,
              static_cast<long long>(trainable(model)));

  for (nn::Unary& layer : model.layers) {
    layer = LoraLinear(layer.as<nn::Linear>());
  }
  model.freeze();
  model.unfreeze({.keys = {"lora_a", "lora_b"}});
  auto [before, after] = fit(
      model, [](const array& x, const array& y) { return sin(3 * y) * x; }, o);
  if (!o.save.empty()) model.save_weights(o.save);
  std::printf("adapted: %lld trainable numbers\n",
              static_cast<long long>(trainable(model)));
  std::printf("loss %.3f -> %.3f\n", before, after);
}

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Adapts a trained network with low-rank updates.");
  app.option_defaults()->always_capture_default();
  app.add_option("--steps", o.steps)->check(CLI::PositiveNumber);
  app.add_option("--rate", o.rate);
  app.add_option("--seed", o.seed);
  app.add_option("--save", o.save, "Write the weights here, as safetensors");
  CLI11_PARSE(app, argc, argv);

  try {
    run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lora: %s\n", e.what());
    return 1;
  }
}
