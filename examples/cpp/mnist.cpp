// Trains a classifier of handwritten digits.
//
//   ./dev train mnist --epochs 10
#include <algorithm>
#include <cstdio>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "treadle/treadle.h"

namespace nn = treadle::nn;
namespace optim = treadle::optimizers;
using treadle::array;

struct Mlp : nn::Module {
  nn::Unary l1 = nn::Linear(784, 256), l2 = nn::Linear(256, 10);
  TREADLE_MODULE(Mlp, l1, l2)
  array operator()(const array& x) const { return l2(nn::relu(l1(x))); }
};

struct Data {
  array images;  // (N, 784) float32 in [0, 1]
  array labels;  // (N,) uint8

  Data(const std::string& folder, const std::string& part) {
    array bytes =
        treadle::train::read_idx(folder + "/" + part + "-images-idx3-ubyte");
    images = treadle::reshape(bytes, {bytes.shape(0), -1}) / 255;
    labels =
        treadle::train::read_idx(folder + "/" + part + "-labels-idx1-ubyte");
    treadle::eval({images});
  }
};

int main(int argc, char** argv) {
  std::string folder = "data/mnist";
  int epochs = 10, batch = 64;
  double rate = 0.1;
  uint64_t seed = 0;
  CLI::App app("Trains a classifier of handwritten digits.");
  app.add_option("--data", folder, "Folder of the four IDX files")
      ->capture_default_str();
  app.add_option("--epochs", epochs)->capture_default_str();
  app.add_option("--batch", batch)->capture_default_str();
  app.add_option("--rate", rate, "Learning rate")->capture_default_str();
  app.add_option("--seed", seed)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  Data train(folder, "train"), test(folder, "t10k");
  treadle::random::seed(seed);
  std::mt19937_64 shuffler(seed);

  Mlp model;
  optim::SGD optimizer(rate, {.momentum = 0.9});
  auto loss_and_grads =
      nn::value_and_grad(model, [&](const array& x, const array& y) {
        return nn::cross_entropy(model(x), y, {.reduction = "mean"});
      });
  auto accuracy = [&] {
    array right = treadle::argmax(model(test.images), 1) == test.labels;
    return treadle::mean(right).item<float>();
  };

  std::vector<uint32_t> order(size_t(train.labels.size()));
  std::iota(order.begin(), order.end(), 0);
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    std::shuffle(order.begin(), order.end(), shuffler);
    double total = 0;
    int steps = int(order.size()) / batch;
    for (int i = 0; i < steps; ++i) {
      array pick = array::from(&order[size_t(i * batch)], {batch});
      auto [loss, grads] = loss_and_grads(treadle::take(train.images, pick, 0),
                                          treadle::take(train.labels, pick, 0));
      optimizer.update(model, grads);
      treadle::eval(model.parameters().leaves());
      total += loss.item<float>();
    }
    std::printf("epoch %2d  loss %.4f  test accuracy %.4f\n",
                epoch,
                total / steps,
                accuracy());
  }
}
