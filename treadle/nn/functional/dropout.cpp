#include "treadle/nn/functional/dropout.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/random.h"

namespace treadle::nn {

array dropout(const array& x, double p, const array& key) {
  if (!(p >= 0 && p < 1)) {
    invalid("dropout",
            fmt::format("the probability is {}; expected [0, 1).", p));
  }
  if (p == 0) return x;
  return random::bernoulli(1 - p, x.shape(), key) * x * (1 / (1 - p));
}

}  // namespace treadle::nn
