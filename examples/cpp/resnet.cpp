// Trains ResNet-20 (He et al. 2016) on handwritten digits.
//
//   ./dev train resnet
//
// Writes model.safetensors and events.jsonl (the learning curve) into --out.
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "treadle/treadle.h"

namespace nn = treadle::nn;
namespace optim = treadle::optimizers;
namespace train = treadle::train;
using treadle::array;
using treadle::Arrays;
using treadle::Range;

// Two convolutions beside a shortcut. x (B, H, W, in) -> (B, H', W', out)
struct Block : nn::Module {
  Block(int in, int out, int stride)
      : conv1(nn::Conv2d(in, out, 3, stride, 1, 1, 1, false)),
        norm1(nn::BatchNorm(out)),
        conv2(nn::Conv2d(out, out, 3, 1, 1, 1, 1, false)),
        norm2(nn::BatchNorm(out)) {
    if (in != out) shortcut = nn::Conv2d(in, out, 1, stride, 0, 1, 1, false);
  }

  nn::Unary conv1, norm1, conv2, norm2, shortcut;
  TREADLE_MODULE(Block, conv1, norm1, conv2, norm2, shortcut)

  array operator()(const array& x) const {
    array y = norm2(conv2(nn::relu(norm1(conv1(x)))));
    return nn::relu(y + (shortcut.empty() ? x : shortcut(x)));
  }
};

// x (B, H, W, 1) -> (B, 10)
struct ResNet20 : nn::Module {
  nn::Unary conv = nn::Conv2d(1, 16, 3, 1, 1, 1, 1, false);
  nn::Unary norm = nn::BatchNorm(16), head = nn::Linear(64, 10);
  std::vector<Block> blocks;
  TREADLE_MODULE(ResNet20, conv, norm, blocks, head)

  ResNet20() {
    int in = 16;
    for (int out : {16, 32, 64}) {
      for (int i = 0; i < 3; ++i) {
        blocks.emplace_back(in, out, in == out ? 1 : 2);
        in = out;
      }
    }
  }
  array operator()(const array& x) const {
    array y = nn::relu(norm(conv(x)));
    for (const Block& block : blocks) y = block(y);
    return head(treadle::mean(y, {1, 2}));
  }
};

struct Options {
  std::string data = "data/mnist", out = "runs/resnet";
  int epochs = 6, batch = 64;
  double rate = 0.1;
  uint64_t seed = 0;
};

struct Data {
  array images;  // (N, 28, 28, 1), mean 0 and deviation 1
  array labels;  // (N,) uint8

  Data(const std::string& folder, const std::string& part) {
    array bytes = train::read_idx(folder + "/" + part + "-images-idx3-ubyte");
    images = treadle::expand_dims((bytes / 255 - 0.13) / 0.31, -1);
    labels = train::read_idx(folder + "/" + part + "-labels-idx1-ubyte");
    treadle::eval({images});
  }
  int64_t size() const { return labels.size(); }
};

double accuracy(const ResNet20& model, const Data& data) {
  array right = treadle::argmax(model(data.images), 1) == data.labels;
  return treadle::mean(right).item<double>();
}

void run(const Options& o) {
  treadle::random::seed(o.seed);
  Data training(o.data, "train"), test(o.data, "t10k");
  const int64_t steps = training.size() / o.batch;

  ResNet20 model;
  optim::SGD optimizer(
      optim::cosine_decay(o.rate, o.epochs * steps),
      {.momentum = 0.9, .weight_decay = 5e-4, .nesterov = true});
  auto loss_and_grads =
      nn::value_and_grad(model, [&](const array& x, const array& y) {
        return nn::cross_entropy(model(x), y, {.reduction = "mean"});
      });
  auto step = train::compile_step(model, optimizer, [&](const Arrays& in) {
    auto [loss, grads] = loss_and_grads(in[0], in[1]);
    optimizer.update(model, grads);
    return Arrays{loss};
  });

  train::EventFile events(o.out + "/events.jsonl");
  for (int epoch = 1; epoch <= o.epochs; ++epoch) {
    train::Progress bar(
        "epoch " + std::to_string(epoch) + "/" + std::to_string(o.epochs),
        steps * o.batch,
        "images");
    array order = treadle::argsort(treadle::random::uniform({training.size()}));
    double loss = 0;
    for (int64_t i = 0; i < steps; ++i) {
      array pick = treadle::at(order, {Range{i * o.batch, (i + 1) * o.batch}});
      Arrays values = step({treadle::take(training.images, pick, 0),
                            treadle::take(training.labels, pick, 0)});
      loss += values[0].item<double>() / double(steps);
      bar.advance(o.batch, {{"loss", loss * double(steps) / double(i + 1)}});
    }
    model.eval();
    const double tested = accuracy(model, test);
    model.train();
    bar.finish({{"loss", loss}, {"test", tested}});
    events.write(epoch * steps, {{"loss", loss}, {"test accuracy", tested}});
  }

  const std::string path = o.out + "/model.safetensors";
  model.save_weights(path);
  model.eval();
  std::printf("%s: test accuracy %.4f\n", path.c_str(), accuracy(model, test));
}

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Trains ResNet-20 on handwritten digits.");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", o.data, "Folder of the four IDX files");
  app.add_option("--out", o.out, "Folder for the model and the learning curve");
  app.add_option("--epochs", o.epochs)->check(CLI::PositiveNumber);
  app.add_option("--batch", o.batch)->check(CLI::Range(1, 4000));
  app.add_option("--rate", o.rate, "Learning rate at the beginning");
  app.add_option("--seed", o.seed);
  CLI11_PARSE(app, argc, argv);

  try {
    run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "resnet: %s\n", e.what());
    return 1;
  }
}
