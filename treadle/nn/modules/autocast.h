// autocast of functions that use a model.
#pragma once

#include <type_traits>
#include <utility>

#include "treadle/nn/modules/module.h"
#include "treadle/nn/modules/value_and_grad.h"
#include "treadle/transforms/autocast.h"

namespace treadle::nn {

// treadle::autocast for a function of any arguments that returns an array or
// Arrays, and may replace arrays of the model (running statistics). The model
// must outlive the result.
//
//   auto loss_and_grads = nn::value_and_grad(model,
//       nn::autocast(model, loss, bfloat16));
template <class F>
auto autocast(Module& model, F fn, Dtype dtype = bfloat16) {
  return [&model, fn = std::move(fn), dtype](const auto&... args) {
    using Result =
        std::decay_t<std::invoke_result_t<const F&, decltype(args)...>>;
    Arrays values = treadle::autocast(
        [&](const Arrays&) { return detail::as_arrays(fn(args...)); },
        {dtype, captured(model)})({});
    if constexpr (std::is_same_v<Result, array>) {
      return values[0];
    } else {
      return values;
    }
  };
}

}  // namespace treadle::nn
