// Recurrent layers: loops over time, each one scan. The inputs of all steps go
// through their weights in one product before it.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <utility>

#include "treadle/graph/array.h"
#include "treadle/graph/tree.h"

namespace treadle::nn {

// What an RNN does with its sums: any function of an array, or one of this
// library by its name, as activation_named takes it.
class Nonlinearity {
 public:
  Nonlinearity() : Nonlinearity("tanh") {}
  Nonlinearity(const char* name) : Nonlinearity(std::string_view(name)) {}
  Nonlinearity(std::string_view name);
  Nonlinearity(std::function<array(const array&)> f,
               std::string_view name = "");
  Nonlinearity(array (*f)(const array&))
      : Nonlinearity(std::function<array(const array&)>(f)) {}
  array operator()(const array& x) const { return f_(x); }
  const std::string& name() const { return name_; }  // "" when it has none

 private:
  std::function<array(const array&)> f_;
  std::string name_;
};

// One layer in one direction. The gates lie below each other: G is 1 for an
// RNN, 3 (r, z, n) for a GRU, 4 (i, f, g, o) for an LSTM.
struct RecurrentWeights {
  array wx;         // (G H, D)
  array wh;         // (G H, H)
  array bias = {};  // (G H,); null for none
  array bhn = {};   // (H,): of a GRU, what the state's share of n gets
};

struct RecurrentOptions {
  // The state before the first step: (..., H) for one layer in one direction,
  // else (layers directions, ..., H). Null for zeros.
  array hidden = {};
  array cell = {};  // of an LSTM
  // Each layer has two weights, the second for the way from the last step to
  // the first; the next layer and the caller get both states side by side.
  bool bidirectional = false;
};

// h_t = f(W_x x_t + W_h h_(t-1) + b) for all steps. x (..., T, D) -> (..., T,
// H), or 2 H in both directions. The layers' weights from the first to the
// last, forward before backward. Throws std::invalid_argument when shapes do
// not fit. (Elman 1990)
array rnn(const array& x,
          std::span<const RecurrentWeights> weights,
          const RecurrentOptions& options = {},
          const Nonlinearity& f = {});

// r, z = sigmoid(W_x x_t + W_h h_(t-1) + b), n = tanh(W_x x_t + b + r (W_h
// h_(t-1) + b_hn)), h_t = (1 - z) n + z h_(t-1). Shapes as for rnn.
// (Cho et al. 2014)
array gru(const array& x,
          std::span<const RecurrentWeights> weights,
          const RecurrentOptions& options = {});

// i, f, o = sigmoid and g = tanh of W_x x_t + W_h h_(t-1) + b, c_t = f c_(t-1)
// + i g, h_t = o tanh(c_t). Returns the last layer's h and c for all steps,
// shapes as for rnn. (Hochreiter & Schmidhuber 1997)
std::pair<array, array> lstm(const array& x,
                             std::span<const RecurrentWeights> weights,
                             const RecurrentOptions& options = {});

// First values, uniform in +-1/sqrt(hidden): {"Wxh", "Whh", "bias"} for an RNN,
// {"Wx", "Wh", "b", "bhn"} for a GRU, {"Wx", "Wh", "bias"} for an LSTM.
Tree rnn_init(int in, int hidden, bool bias = true, Dtype dtype = float32);
Tree gru_init(int in, int hidden, bool bias = true, Dtype dtype = float32);
Tree lstm_init(int in, int hidden, bool bias = true, Dtype dtype = float32);

}  // namespace treadle::nn
