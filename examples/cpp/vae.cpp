// Trains a variational autoencoder (Kingma & Welling 2014) on small pictures,
// which are made on the spot: a bright spot at a random place of a dark square.
//
//   build/release/examples/vae
#include <cstdio>
#include <string>
#include <tuple>

#include <CLI/CLI.hpp>

#include "treadle/treadle.h"

namespace nn = treadle::nn;
namespace optim = treadle::optimizers;
namespace train = treadle::train;
using treadle::array;
using treadle::Arrays;

constexpr int kSize = 12;

struct Vae : nn::Module {
  explicit Vae(int latent = 4, int hidden = 64)
      : encode(nn::Linear(kSize * kSize, hidden),
               nn::relu,
               nn::Linear(hidden, 2 * latent)),
        decode(nn::Linear(latent, hidden),
               nn::relu,
               nn::Linear(hidden, kSize * kSize)) {}

  nn::Sequential encode, decode;
  TREADLE_MODULE(Vae, encode, decode)

  // Logits of the pixels of x (B, kSize * kSize), and the mean and log variance
  // (B, latent) that they come from.
  std::tuple<array, array, array> operator()(const array& x) const {
    const Arrays code = treadle::split(encode(x), 2, -1);
    const array &mean = code[0], &log_var = code[1];
    const array noise = treadle::random::normal(mean.shape());
    return {decode(mean + exp(0.5 * log_var) * noise), mean, log_var};
  }
};

// (count, kSize * kSize) with pixels in [0, 1].
array pictures(int count) {
  const array at = treadle::arange(kSize);
  auto falling = [&](const array& middle) {
    return exp(-square(at - middle) / 4);
  };
  auto middle = [&] {
    return treadle::random::uniform(2.0, kSize - 3.0, {count, 1});
  };
  const array x = falling(middle()), y = falling(middle());
  return reshape(expand_dims(x, 1) * expand_dims(y, 2), {count, -1});
}

array negative_elbo(const Vae& model, const array& x) {
  auto [logits, mean, log_var] = model(x);
  const array pixels = sum(nn::binary_cross_entropy(logits, x), -1);
  const array divergence =
      0.5 * sum(exp(log_var) + square(mean) - 1 - log_var, -1);
  return treadle::mean(pixels + divergence);
}

struct Options {
  std::string save;
  int steps = 1000, batch = 64;
  double rate = 3e-3;
  uint64_t seed = 0;
};

// A picture in letters.
void show(const array& picture) {
  const std::vector<float> v = picture.to_vector<float>();
  for (int i = 0; i < kSize; ++i) {
    std::string row;
    for (int j = 0; j < kSize; ++j) {
      row += " .:-=+*#%@"[std::min(int(v[size_t(i * kSize + j)] * 10), 9)];
    }
    std::printf("  %s\n", row.c_str());
  }
}

void run(const Options& o) {
  treadle::random::seed(o.seed);
  Vae model;
  optim::Adam optimizer(o.rate);
  auto loss_and_grads = nn::value_and_grad(
      model, [&](const array& x) { return negative_elbo(model, x); });
  // The noise is drawn inside of the step: it differs every time.
  auto step = train::compile_step(model, optimizer, [&](const Arrays& in) {
    auto [loss, grads] = loss_and_grads(in[0]);
    optimizer.update(model, grads);
    return Arrays{loss};
  });

  double first = 0, last = 0;
  for (int i = 1; i <= o.steps; ++i) {
    last = step({pictures(o.batch)})[0].item<double>();
    if (i == 1) first = last;
    if (i % 100 == 0 || i == o.steps) {
      std::printf("step %d/%d  loss %.2f\n", i, o.steps, last);
    }
  }
  if (!o.save.empty()) model.save_weights(o.save);
  show(nn::sigmoid(model.decode(treadle::random::normal({1, 4}))));
  std::printf("loss %.3f -> %.3f\n", first, last);
}

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Trains a variational autoencoder on small pictures.");
  app.option_defaults()->always_capture_default();
  app.add_option("--steps", o.steps)->check(CLI::PositiveNumber);
  app.add_option("--batch", o.batch)->check(CLI::PositiveNumber);
  app.add_option("--rate", o.rate);
  app.add_option("--seed", o.seed);
  app.add_option("--save", o.save, "Write the weights here, as safetensors");
  CLI11_PARSE(app, argc, argv);

  try {
    run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "vae: %s\n", e.what());
    return 1;
  }
}
