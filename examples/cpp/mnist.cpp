// Trains a classifier of handwritten digits and saves it.
//
//   ./dev train                      a convolutional network, 4,000 images
//   ./dev train mnist --model mlp    two linear layers
//
// Writes model.safetensors and events.jsonl (the learning curve) into --out.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "treadle/treadle.h"

namespace nn = treadle::nn;
namespace optim = treadle::optimizers;
namespace train = treadle::train;
using treadle::array;
using treadle::Arrays;

// x (B, 28, 28, 1) -> (B, 10)
struct Mlp : nn::Module {
  nn::Unary l1 = nn::Linear(784, 256), l2 = nn::Linear(256, 10);
  TREADLE_MODULE(Mlp, l1, l2)
  array operator()(const array& x) const {
    return l2(nn::relu(l1(treadle::flatten(x, 1))));
  }
};

// x (B, 28, 28, 1) -> (B, 10)
struct Cnn : nn::Module {
  nn::Unary conv1 = nn::Conv2d(1, 16, 3, 1, 1), norm1 = nn::BatchNorm(16);
  nn::Unary conv2 = nn::Conv2d(16, 32, 3, 1, 1), norm2 = nn::BatchNorm(32);
  nn::Unary pool = nn::MaxPool2d(2), dropout = nn::Dropout(0.25);
  nn::Unary head = nn::Linear(7 * 7 * 32, 10);
  TREADLE_MODULE(Cnn, conv1, norm1, conv2, norm2, pool, dropout, head)
  array operator()(const array& x) const {
    array y = pool(nn::relu(norm1(conv1(x))));  // (B, 14, 14, 16)
    y = pool(nn::relu(norm2(conv2(y))));        // (B, 7, 7, 32)
    return head(dropout(treadle::flatten(y, 1)));
  }
};

struct Options {
  std::string data = "data/mnist", out = "runs/mnist", model = "cnn";
  int epochs = 12, batch = 64;
  double rate = 2e-3;
  int shift = 2;
  uint64_t seed = 0;
};

struct Data {
  array images;  // (N, 28, 28, 1) float32 in [0, 1]
  array labels;  // (N,) uint8

  Data(const std::string& folder, const std::string& part) {
    array bytes = train::read_idx(folder + "/" + part + "-images-idx3-ubyte");
    images = treadle::expand_dims(bytes / 255, -1);
    labels = train::read_idx(folder + "/" + part + "-labels-idx1-ubyte");
    treadle::eval({images});
  }
  int64_t size() const { return labels.size(); }
};

// The images moved by up to `most` pixels each way, one way for the batch.
array shifted(const array& x, int most, std::mt19937_64& random) {
  if (most == 0) return x;
  std::uniform_int_distribution<int64_t> any(0, 2 * most);
  int64_t n = x.shape(0), h = x.shape(1), w = x.shape(2), dy = any(random),
          dx = any(random);
  array wide = treadle::pad(x, {0, most, most, 0}, {0, most, most, 0});
  return treadle::slice(wide, {0, dy, dx, 0}, {n, dy + h, dx + w, 1});
}

template <class Model>
double accuracy(const Model& model, const Data& data) {
  array right = treadle::argmax(model(data.images), 1) == data.labels;
  return treadle::mean(right).template item<double>();
}

template <class Model>
void run(const Options& o) {
  Data training(o.data, "train"), test(o.data, "t10k");
  treadle::random::seed(o.seed);
  std::mt19937_64 random(o.seed);
  const int64_t steps = training.size() / o.batch;

  Model model;
  optim::AdamW optimizer(optim::cosine_decay(o.rate, o.epochs * steps),
                         0.01,
                         {.bias_correction = true});
  auto loss_and_grads =
      nn::value_and_grad(model, [&](const array& x, const array& y) {
        array logits = model(x);
        array right = treadle::argmax(logits, 1) == y;
        return Arrays{nn::cross_entropy(logits, y, {.reduction = "mean"}),
                      treadle::mean(right)};
      });
  auto step = train::compile_step(model, optimizer, [&](const Arrays& in) {
    auto [values, grads] = loss_and_grads(in[0], in[1]);
    optimizer.update(model, grads);
    return values;
  });

  train::EventFile events(o.out + "/events.jsonl");
  std::vector<uint32_t> order(size_t(training.size()));
  std::iota(order.begin(), order.end(), 0);
  for (int epoch = 1; epoch <= o.epochs; ++epoch) {
    std::shuffle(order.begin(), order.end(), random);
    train::Progress bar(
        "epoch " + std::to_string(epoch) + "/" + std::to_string(o.epochs),
        steps * o.batch,
        "images");
    double loss = 0, right = 0;
    for (int64_t i = 0; i < steps; ++i) {
      array pick = array::from(&order[size_t(i * o.batch)], {o.batch});
      array x =
          shifted(treadle::take(training.images, pick, 0), o.shift, random);
      Arrays values = step({x, treadle::take(training.labels, pick, 0)});
      treadle::eval(values);
      loss += values[0].item<double>();
      right += values[1].item<double>();
      bar.advance(o.batch,
                  {{"loss", loss / double(i + 1)},
                   {"accuracy", right / double(i + 1)}});
    }
    model.eval();
    double tested = accuracy(model, test);
    model.train();
    loss /= double(steps);
    right /= double(steps);
    bar.finish({{"loss", loss}, {"accuracy", right}, {"test", tested}});
    events.write(
        epoch * steps,
        {{"loss", loss}, {"accuracy", right}, {"test accuracy", tested}});
  }

  const std::string path = o.out + "/model.safetensors";
  treadle::save_safetensors(
      path, model.parameters().flatten(), {{"model", o.model}});
  Model loaded;
  loaded.load_weights(path).eval();
  std::printf("%s: test accuracy %.4f\n", path.c_str(), accuracy(loaded, test));
}

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Trains a classifier of handwritten digits.");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", o.data, "Folder of the four IDX files");
  app.add_option("--out", o.out, "Folder for the model and the learning curve");
  app.add_option("--model", o.model)->check(CLI::IsMember({"mlp", "cnn"}));
  app.add_option("--epochs", o.epochs)->check(CLI::PositiveNumber);
  app.add_option("--batch", o.batch)->check(CLI::Range(1, 4000));
  app.add_option("--rate", o.rate, "Learning rate at the beginning");
  app.add_option(
      "--shift", o.shift, "Images are moved by up to this many pixels");
  app.add_option("--seed", o.seed);
  CLI11_PARSE(app, argc, argv);

  try {
    o.model == "mlp" ? run<Mlp>(o) : run<Cnn>(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mnist: %s\n", e.what());
    return 1;
  }
}
