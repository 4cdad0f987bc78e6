// Loss and gradients of a model.
#pragma once

#include <functional>
#include <type_traits>
#include <utility>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

namespace detail {

// The values of f and the gradients of its first with respect to the trainable
// parameters; the model holds its own arrays again afterwards, also when f
// throws.
std::pair<Arrays, Tree> value_and_grad(Module& model,
                                       const std::function<Arrays()>& f);

inline Arrays as_arrays(array loss) { return {std::move(loss)}; }
inline Arrays as_arrays(Arrays values) { return values; }

}  // namespace detail

// A function with fn's arguments that returns a pair: what fn returned (an
// array, or Arrays whose first is the loss), and the gradients of the loss, a
// tree like model.trainable_parameters(). The loss must be a scalar. fn need
// not take the model as an argument; the model must outlive the function.
//
//   auto loss_and_grads = nn::value_and_grad(model, [&](const array& x, const
//   array& y) {
//     return nn::cross_entropy(model(x), y, {.reduction = "mean"});
//   });
//   auto [loss, grads] = loss_and_grads(x, y);
template <class F>
auto value_and_grad(Module& model, F fn) {
  model.remember_paths();
  return [&model, fn = std::move(fn)](const auto&... args) {
    using Result =
        std::decay_t<std::invoke_result_t<const F&, decltype(args)...>>;
    auto [values, grads] = detail::value_and_grad(
        model, [&] { return detail::as_arrays(fn(args...)); });
    if constexpr (std::is_same_v<Result, array>) {
      return std::pair<array, Tree>(std::move(values[0]), std::move(grads));
    } else {
      return std::pair<Arrays, Tree>(std::move(values), std::move(grads));
    }
  };
}

}  // namespace treadle::nn
