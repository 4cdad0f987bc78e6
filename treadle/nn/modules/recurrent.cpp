#include "treadle/nn/modules/recurrent.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/repr.h"

namespace treadle::nn {

Recurrent::Recurrent(Init init,
                     const Names& names,
                     int input_size,
                     int hidden_size,
                     bool bias,
                     int num_layers,
                     bool bidirectional)
    : names_(names),
      input_size_(input_size),
      hidden_size_(hidden_size),
      num_layers_(num_layers),
      bias_(bias),
      bidirectional_(bidirectional) {
  if (num_layers < 1) {
    invalid("recurrent",
            fmt::format("got {} layers; expected at least one.", num_layers));
  }
  const int directions = bidirectional ? 2 : 1;
  auto take = [](const Tree& t, const char* name) {
    const Tree* found = name ? t.find(name) : nullptr;
    return found ? found->leaf() : array();
  };
  for (int i = 0; i < num_layers * directions; ++i) {
    const int in = i < directions ? input_size : directions * hidden_size;
    const Tree t = init(in, hidden_size, bias, float32);
    weights.push_back({take(t, names.wx),
                       take(t, names.wh),
                       take(t, names.bias),
                       take(t, names.bhn)});
  }
}

void Recurrent::visit(Visitor& v) {
  const size_t directions = bidirectional_ ? 2 : 1;
  for (size_t i = 0; i < weights.size(); ++i) {
    std::string ending;
    if (i > 0) {
      ending = fmt::format(
          "_l{}{}", i / directions, i % directions == 1 ? "_reverse" : "");
    }
    v.on_array(names_.wx + ending, weights[i].wx);
    v.on_array(names_.wh + ending, weights[i].wh);
    v.on_array(names_.bias + ending, weights[i].bias);
    if (names_.bhn) v.on_array(names_.bhn + ending, weights[i].bhn);
  }
}

std::string Recurrent::extra_repr() const {
  std::string more;
  if (num_layers_ > 1) more += fmt::format(", num_layers={}", num_layers_);
  if (bidirectional_) more += ", bidirectional=True";
  return fmt::format("input_dims={}, hidden_size={}, bias={}{}",
                     input_size_,
                     hidden_size_,
                     python(bias_),
                     more);
}

std::string Recurrent::brief() const {
  return fmt::format("{}->{}", input_size_, hidden_size_);
}

RNN::RNN(int input_size,
         int hidden_size,
         bool bias,
         Nonlinearity nonlinearity,
         int num_layers,
         bool bidirectional)
    : Recurrent(rnn_init,
                {"Wxh", "Whh", "bias", nullptr},
                input_size,
                hidden_size,
                bias,
                num_layers,
                bidirectional),
      nonlinearity_(std::move(nonlinearity)) {}

array RNN::operator()(const array& x, const array& hidden) const {
  const Call call(*this);
  return call(rnn(x, weights, options(hidden, {}), nonlinearity_));
}

// "input_dims=2, hidden_size=3, nonlinearity=tanh, bias=True"
std::string RNN::extra_repr() const {
  const std::string& name = nonlinearity_.name();
  std::string text = Recurrent::extra_repr();
  text.insert(text.find(", bias="),
              ", nonlinearity=" + (name.empty() ? "function" : name));
  return text;
}

GRU::GRU(int input_size,
         int hidden_size,
         bool bias,
         int num_layers,
         bool bidirectional)
    : Recurrent(gru_init,
                {"Wx", "Wh", "b", "bhn"},
                input_size,
                hidden_size,
                bias,
                num_layers,
                bidirectional) {}

array GRU::operator()(const array& x, const array& hidden) const {
  const Call call(*this);
  return call(gru(x, weights, options(hidden, {})));
}

LSTM::LSTM(int input_size,
           int hidden_size,
           bool bias,
           int num_layers,
           bool bidirectional)
    : Recurrent(lstm_init,
                {"Wx", "Wh", "bias", nullptr},
                input_size,
                hidden_size,
                bias,
                num_layers,
                bidirectional) {}

std::pair<array, array> LSTM::operator()(const array& x,
                                         const array& hidden,
                                         const array& cell) const {
  const Call call(*this);
  return call(lstm(x, weights, options(hidden, cell)));
}

}  // namespace treadle::nn
