#include "treadle/nn/functional/linear.h"

#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/random.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

array linear(const array& x, const array& w, const array& bias) {
  if (w.ndim() != 2 || x.ndim() < 1 || x.shape(-1) != w.shape(1)) {
    invalid("linear",
            fmt::format("the input is {} and the weight {}; expected (..., I) "
                        "and (O, I).",
                        to_string(x.spec()),
                        to_string(w.spec())));
  }
  array wt = transpose(w);
  return bias.null() ? matmul(x, wt) : addmm(bias, x, wt);
}

Tree linear_init(int in, int out, bool bias, Dtype dtype) {
  if (in <= 0 || out <= 0) {
    invalid("linear_init",
            fmt::format("got {} inputs and {} outputs; expected at least "
                        "one of each.",
                        in,
                        out));
  }
  double k = 1 / std::sqrt(double(in));
  Tree t = Tree::map();
  t["weight"] = random::uniform(-k, k, {out, in}, dtype);
  if (bias) t["bias"] = random::uniform(-k, k, {out}, dtype);
  return t;
}

}  // namespace treadle::nn
