// Trains a small GPT on bytes of Python programs, and lets it write one.
//
//   ./dev train gpt                      about a minute
//   ./dev train gpt --steps 2000 --dims 256
//
// Writes model.safetensors and events.jsonl (the learning curve) into --out.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
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
using treadle::Range;

constexpr int kBytes = 256;

// x (B, T, dims) -> the same
struct Block : nn::Module {
  Block(int dims, int heads)
      : norm1(dims),
        attention(dims, heads),
        norm2(dims),
        up(nn::Linear(dims, 4 * dims)),
        down(nn::Linear(4 * dims, dims)) {}

  nn::LayerNorm norm1;
  nn::MultiHeadAttention attention;
  nn::LayerNorm norm2;
  nn::Unary up, down;
  TREADLE_MODULE(Block, norm1, attention, norm2, up, down)

  array operator()(const array& x) const {
    array y = x + attention(norm1(x), "causal");
    return y + down(nn::gelu(up(norm2(y))));
  }
};

// bytes (B, T) -> logits of the bytes that follow (B, T, 256)
struct Gpt : nn::Module {
  Gpt(int dims, int heads, int layers, int context)
      : tokens(kBytes, dims), positions(context, dims), norm(dims) {
    for (int i = 0; i < layers; ++i) blocks.emplace_back(dims, heads);
  }

  nn::Embedding tokens, positions;
  std::vector<Block> blocks;
  nn::LayerNorm norm;
  TREADLE_MODULE(Gpt, tokens, positions, blocks, norm)

  array operator()(const array& x) const {
    array y = tokens(x) + positions(treadle::arange(x.shape(1)));
    for (const Block& block : blocks) y = block(y);
    return tokens.as_linear(norm(y));
  }
};

struct Options {
  std::string data = "data/python.txt", out = "runs/gpt";
  int dims = 128, heads = 4, layers = 4, context = 128;
  int steps = 1200, batch = 8;
  double rate = 3e-3;
  uint64_t seed = 0;
  std::string prompt = "def ";
  int sample = 600;
};

// The bytes of a file; the last 5 % are for testing.
struct Text {
  array training, test;

  explicit Text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    if (bytes.size() < 100'000)
      throw std::runtime_error(path + " is too short");
    auto* first = reinterpret_cast<const uint8_t*>(bytes.data());
    const int64_t all = int64_t(bytes.size()), cut = all / 20 * 19;
    training = array::from(first, {cut});
    test = array::from(first + cut, {all - cut});
  }
};

// Random pieces of the text: inputs (B, T), and the bytes that follow them.
std::pair<array, array> pieces(const array& text, int batch, int length) {
  array starts = treadle::random::randint(0, text.size() - length, {batch, 1});
  array piece = treadle::take(text, starts + treadle::arange(length + 1), 0);
  return {treadle::at(piece, {Range{}, Range{0, length}}),
          treadle::at(piece, {Range{}, Range{1, length + 1}})};
}

// The prompt and `count` bytes more, each drawn from what the model expects.
std::string write(const Gpt& model, const std::string& prompt, int count) {
  const int context = int(model.positions.weight.shape(0));
  auto next = treadle::compile([&](const Arrays& in) {
    array logits = treadle::at(model(in[0]), {0, in[1] - 1});
    return Arrays{treadle::random::categorical(logits / 0.8)};
  });
  std::string text = prompt;
  for (int i = 0; i < count; ++i) {
    // Padding after the text changes nothing: a byte does not see what follows.
    std::string window =
        text.substr(text.size() - std::min(text.size(), size_t(context)));
    const int length = int(window.size());
    window.resize(size_t(context));
    array x = array::from(reinterpret_cast<const uint8_t*>(window.data()),
                          {1, context});
    text += char(next({x, length})[0].item<int>());
  }
  return text;
}

void run(const Options& o) {
  treadle::random::seed(o.seed);
  Text text(o.data);
  Gpt model(o.dims, o.heads, o.layers, o.context);
  // Weights inside the blocks take Muon's steps, everything else AdamW's.
  auto schedule = [&](double rate) {
    const int warmup = o.steps / 20 + 1;
    return optim::join_schedules(
        {optim::linear_schedule(0, rate, warmup),
         optim::cosine_decay(rate, o.steps, rate / 20)},
        {warmup});
  };
  auto muon = std::make_shared<optim::Muon>(
      schedule(10 * o.rate), optim::MuonOptions{.weight_decay = 0});
  auto adamw = std::make_shared<optim::AdamW>(
      schedule(o.rate),
      0.1,
      optim::AdamOptions{.beta2 = 0.99, .bias_correction = true});
  optim::MultiOptimizer optimizer({{"blocks.*.weight", muon}, {"*", adamw}},
                                  model.parameters());

  auto loss = [&](const array& x, const array& y) {
    return nn::cross_entropy(model(x), y, {.reduction = "mean"});
  };
  auto loss_and_grads = nn::value_and_grad(model, loss);
  auto step = train::compile_step(model, optimizer, [&](const Arrays& in) {
    auto [value, grads] = loss_and_grads(in[0], in[1]);
    optimizer.update(model, optim::clip_grad_norm(grads, 1));
    return Arrays{value};
  });
  auto [test_x, test_y] = pieces(text.test, 64, o.context);
  auto test_loss = [&, x = test_x, y = test_y] {
    return loss(x, y).item<double>();
  };

  train::EventFile events(o.out + "/events.jsonl");
  train::Progress bar("gpt", int64_t(o.steps) * o.batch * o.context, "bytes");
  double smooth = 0, tested = 0;
  for (int i = 1; i <= o.steps; ++i) {
    auto [x, y] = pieces(text.training, o.batch, o.context);
    const double now = step({x, y})[0].item<double>();
    smooth = i == 1 ? now : 0.95 * smooth + 0.05 * now;
    bar.advance(o.batch * o.context, {{"loss", smooth}, {"test", tested}});
    if (i % 50 == 0 || i == o.steps) {
      tested = test_loss();
      events.write(i, {{"loss", smooth}, {"test", tested}});
    }
  }
  bar.finish({{"loss", smooth}, {"test", tested}});

  const std::string path = o.out + "/model.safetensors";
  treadle::save_safetensors(
      path, model.parameters().flatten(), {{"heads", std::to_string(o.heads)}});
  std::printf("%s: %.3f bits a byte on text it has not seen\n\n%s\n",
              path.c_str(),
              tested / 0.693147,
              write(model, o.prompt, o.sample).c_str());
}

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Trains a small GPT on bytes of Python programs.");
  app.option_defaults()->always_capture_default();
  app.add_option("--data", o.data, "A text file");
  app.add_option("--out", o.out, "Folder for the model and the learning curve");
  app.add_option("--dims", o.dims)->check(CLI::PositiveNumber);
  app.add_option("--heads", o.heads)->check(CLI::PositiveNumber);
  app.add_option("--layers", o.layers)->check(CLI::PositiveNumber);
  app.add_option("--context", o.context, "Bytes that the model sees")
      ->check(CLI::PositiveNumber);
  app.add_option("--steps", o.steps)->check(CLI::PositiveNumber);
  app.add_option("--batch", o.batch)->check(CLI::PositiveNumber);
  app.add_option("--rate",
                 o.rate,
                 "Highest learning rate of AdamW; Muon's is ten times that");
  app.add_option("--seed", o.seed);
  app.add_option("--prompt", o.prompt, "What the sample begins with");
  app.add_option("--sample", o.sample, "Length of the sample in bytes");
  CLI11_PARSE(app, argc, argv);

  try {
    run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "gpt: %s\n", e.what());
    return 1;
  }
}
