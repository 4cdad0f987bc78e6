// checkpoint: calls of a module that keep nothing for the gradient.
#pragma once

#include <functional>

#include "treadle/nn/modules/unary.h"
#include "treadle/transforms/checkpoint.h"

namespace treadle::nn {

// A function that calls the module, whose intermediate values are computed
// again for the gradient of input and parameters; see treadle::checkpoint. The
// module must outlive the function. A layer that keeps running statistics must
// not be inside while it is training.
template <UnaryModule M>
std::function<array(const array&)> checkpoint(const M& module) {
  return [&module](const array& x) {
    return treadle::checkpoint(
        [&module](const Arrays& in) { return Arrays{module(in[0])}; })({x})[0];
  };
}

}  // namespace treadle::nn
