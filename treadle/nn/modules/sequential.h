// Sequential: layers called one after another.
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>
#include <vector>

#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/unary.h"

namespace treadle::nn {

namespace detail {
// Keeps a variadic constructor from being taken for a copy constructor.
template <class T, class... Args>
concept NotACopy = !(sizeof...(Args) == 1 &&
                     (std::same_as<std::remove_cvref_t<Args>, T> && ...));
template <class... Args>
concept AllUnary = (std::convertible_to<Args, Unary> && ...);
}  // namespace detail

// Sequential(Linear(784, 32), nn::relu, Linear(32, 10)): modules, or functions
// without parameters.
struct Sequential : Module {
  template <class First, class... Rest>
  requires detail::NotACopy<Sequential, First, Rest...> &&
      detail::AllUnary<First, Rest...>
  explicit Sequential(First&& first, Rest&&... rest) {
    layers.reserve(1 + sizeof...(rest));
    layers.emplace_back(std::forward<First>(first));
    (layers.emplace_back(std::forward<Rest>(rest)), ...);
  }
  explicit Sequential(std::vector<Unary> l = {}) : layers(std::move(l)) {}

  std::vector<Unary> layers;
  TREADLE_MODULE(Sequential, layers)

  array operator()(const array& x) const {
    const Call call(*this);
    array y = x;
    for (const Unary& layer : layers) y = layer(y);
    return call(y);
  }
};

}  // namespace treadle::nn
