// Trains a language model of two LSTM layers on the bytes of a text.
//
//   build/release/examples/lstm --data data/python.txt
#include <cstdio>
#include <fstream>
#include <iterator>
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

constexpr int kBytes = 256;

// bytes (B, T) -> logits of the bytes that follow (B, T, 256)
struct LanguageModel : nn::Module {
  explicit LanguageModel(int dims = 64, int hidden = 128, int layers = 2)
      : tokens(kBytes, dims),
        lstm(dims, hidden, true, layers),
        dropout(0.1),
        out(nn::Linear(hidden, kBytes)) {}

  nn::Embedding tokens;
  nn::LSTM lstm;
  nn::Dropout dropout;
  nn::Unary out;
  TREADLE_MODULE(LanguageModel, tokens, lstm, dropout, out)

  array operator()(const array& x) const {
    auto [hidden, cell] = lstm(tokens(x));
    return out(dropout(hidden));
  }
};

struct Options {
  std::string data = "data/python.txt", save;
  int steps = 400, batch = 16, length = 64;
  double rate = 5e-3;
  uint64_t seed = 0;
};

array read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
  if (bytes.size() < 1000) throw std::runtime_error(path + " is too short");
  return array::from(reinterpret_cast<const uint8_t*>(bytes.data()),
                     {int64_t(bytes.size())});
}

// Random pieces of the text: inputs (B, T), and the bytes that follow them.
std::pair<array, array> pieces(const array& text, int batch, int length) {
  array starts = treadle::random::randint(0, text.size() - length, {batch, 1});
  array piece = treadle::take(text, starts + treadle::arange(length + 1), 0);
  return {treadle::at(piece, {Range{}, Range{0, length}}),
          treadle::at(piece, {Range{}, Range{1, length + 1}})};
}

void run(const Options& o) {
  treadle::random::seed(o.seed);
  const array text = read_text(o.data);
  LanguageModel model;
  optim::Adam optimizer(o.rate);
  auto loss_and_grads =
      nn::value_and_grad(model, [&](const array& x, const array& y) {
        return nn::cross_entropy(model(x), y, {.reduction = "mean"});
      });
  auto step = train::compile_step(model, optimizer, [&](const Arrays& in) {
    auto [loss, grads] = loss_and_grads(in[0], in[1]);
    optimizer.update(model, optim::clip_grad_norm(grads, 1));
    return Arrays{loss};
  });

  std::vector<double> losses;
  for (int i = 1; i <= o.steps; ++i) {
    auto [x, y] = pieces(text, o.batch, o.length);
    losses.push_back(step({x, y})[0].item<double>());
    if (i % 20 == 0 || i == o.steps) {
      std::printf("step %d/%d  loss %.3f\n", i, o.steps, losses.back());
    }
  }
  if (!o.save.empty()) model.save_weights(o.save);
  std::printf("loss %.3f -> %.3f\n", losses.front(), losses.back());
}

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Trains a language model of LSTM layers on bytes.");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", o.data, "A text file");
  app.add_option("--steps", o.steps)->check(CLI::PositiveNumber);
  app.add_option("--batch", o.batch)->check(CLI::PositiveNumber);
  app.add_option("--length", o.length, "Bytes of a piece")
      ->check(CLI::PositiveNumber);
  app.add_option("--rate", o.rate);
  app.add_option("--seed", o.seed);
  app.add_option("--save", o.save, "Write the weights here, as safetensors");
  CLI11_PARSE(app, argc, argv);

  try {
    run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "lstm: %s\n", e.what());
    return 1;
  }
}
