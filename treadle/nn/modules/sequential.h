// Sequential: layers called one after another.
#pragma once

#include <utility>
#include <vector>

#include "treadle/nn/modules/unary.h"

namespace treadle::nn {

// Sequential(Linear(784, 32), nn::relu, Linear(32, 10)): modules, or functions
// without parameters.
struct Sequential : Module {
  template <class... Layers>
  requires(sizeof...(Layers) > 0 &&
           (std::convertible_to<Layers, Unary> && ...) &&
           !(std::same_as<std::remove_cvref_t<Layers>, Sequential> &&
             ...)) explicit Sequential(Layers&&... l) {
    layers.reserve(sizeof...(l));
    (layers.emplace_back(std::forward<Layers>(l)), ...);
  }
  explicit Sequential(std::vector<Unary> l = {}) : layers(std::move(l)) {}

  std::vector<Unary> layers;
  TREADLE_MODULE(Sequential, layers)

  array operator()(const array& x) const {
    array y = x;
    for (const Unary& layer : layers) y = layer(y);
    return y;
  }
};

}  // namespace treadle::nn
