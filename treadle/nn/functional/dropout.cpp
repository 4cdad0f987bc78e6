#include "treadle/nn/functional/dropout.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/random.h"

namespace treadle::nn {

namespace {

// One draw for each element of `mask`, which broadcasts to the shape of x.
array drop(std::string_view op,
           const array& x,
           double p,
           const Shape& mask,
           const array& key) {
  if (!(p >= 0 && p < 1)) {
    invalid(op, fmt::format("the probability is {}; expected [0, 1).", p));
  }
  if (p == 0) return x;
  return random::bernoulli(1 - p, mask, key) * x * (1 / (1 - p));
}

array drop_channels(std::string_view op,
                    const array& x,
                    double p,
                    int spatial,
                    const array& key) {
  if (x.ndim() != spatial + 1 && x.ndim() != spatial + 2) {
    invalid(op,
            fmt::format("the input is {}; expected {} or {} dimensions.",
                        to_string(x.spec()),
                        spatial + 1,
                        spatial + 2));
  }
  Shape mask = x.shape();
  for (int i = 0; i < spatial; ++i) mask[mask.size() - 2 - size_t(i)] = 1;
  return drop(op, x, p, mask, key);
}

}  // namespace

array dropout(const array& x, double p, const array& key) {
  return drop("dropout", x, p, x.shape(), key);
}

array dropout2d(const array& x, double p, const array& key) {
  return drop_channels("dropout2d", x, p, 2, key);
}

array dropout3d(const array& x, double p, const array& key) {
  return drop_channels("dropout3d", x, p, 3, key);
}

}  // namespace treadle::nn
