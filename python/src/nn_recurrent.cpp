// treadle._core._nn: recurrent layers.
#include <vector>

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "treadle/nn/functional/recurrent.h"

#include "bindings.h"
#include "convert.h"
#include "tree.h"

namespace treadle::python {

using namespace nb::literals;

namespace {

// Weights come as (wx, wh, bias or None) or (wx, wh, bias or None, bhn or
// None), one for each layer and direction.
std::vector<nn::RecurrentWeights> weights_of(const nb::sequence& all) {
  std::vector<nn::RecurrentWeights> out;
  for (nb::handle h : all) {
    std::vector<array> each;
    for (nb::handle a : nb::cast<nb::sequence>(h)) {
      each.push_back(a.is_none() ? array() : nb::cast<array>(a));
    }
    each.resize(4);
    out.push_back({each[0], each[1], each[2], each[3]});
  }
  return out;
}

nn::RecurrentOptions options_of(const array* hidden,
                                const array* cell,
                                bool bidirectional) {
  return {hidden ? *hidden : array(), cell ? *cell : array(), bidirectional};
}

}  // namespace

void bind_nn_recurrent(nb::module_& m) {
  m.def(
      "rnn",
      [](const array& x,
         const nb::sequence& weights,
         const array* hidden,
         bool bidirectional,
         const nb::callable& f) {
        return wrap(nn::rnn(x,
                            weights_of(weights),
                            options_of(hidden, nullptr, bidirectional),
                            nn::Nonlinearity([&](const array& s) {
                              return nb::cast<array>(f(wrap(s)));
                            })));
      },
      "x"_a,
      "weights"_a,
      "hidden"_a.none(),
      "bidirectional"_a,
      "f"_a,
      "The states of an RNN over time: x (..., T, D) -> (..., T, H). Weights "
      "are tuples (Wxh, Whh, bias or None).");
  m.def(
      "gru",
      [](const array& x,
         const nb::sequence& weights,
         const array* hidden,
         bool bidirectional) {
        return wrap(nn::gru(x,
                            weights_of(weights),
                            options_of(hidden, nullptr, bidirectional)));
      },
      "x"_a,
      "weights"_a,
      "hidden"_a.none(),
      "bidirectional"_a,
      "The states of a GRU over time: x (..., T, D) -> (..., T, H). Weights "
      "are tuples (Wx, Wh, b or None, bhn or None).");
  m.def(
      "lstm",
      [](const array& x,
         const nb::sequence& weights,
         const array* hidden,
         const array* cell,
         bool bidirectional) {
        auto [h, c] = nn::lstm(
            x, weights_of(weights), options_of(hidden, cell, bidirectional));
        return nb::make_tuple(wrap(h), wrap(c));
      },
      "x"_a,
      "weights"_a,
      "hidden"_a.none(),
      "cell"_a.none(),
      "bidirectional"_a,
      "The hidden and cell states of an LSTM over time: x (..., T, D) -> two "
      "of (..., T, H). Weights are tuples (Wx, Wh, bias or None).");

  using Init = Tree (*)(int, int, bool, Dtype);
  auto add_init = [&m](const char* name, Init init) {
    m.def(
        name,
        [init](int in, int hidden, bool bias) {
          return to_dict(init(in, hidden, bias, float32));
        },
        "input_size"_a,
        "hidden_size"_a,
        "bias"_a = true,
        "First values of one layer in one direction, uniform in plus or minus "
        "one over the root of hidden_size.");
  };
  add_init("rnn_init", nn::rnn_init);
  add_init("gru_init", nn::gru_init);
  add_init("lstm_init", nn::lstm_init);
}

}  // namespace treadle::python
