#include "treadle/nn/functional/linear.h"

#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
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

array bilinear(const array& x1,
               const array& x2,
               const array& w,
               const array& bias) {
  if (w.ndim() != 3 || x1.ndim() < 1 || x2.ndim() != x1.ndim() ||
      x1.shape(-1) != w.shape(2) || x2.shape(-1) != w.shape(1)) {
    invalid("bilinear",
            fmt::format("the inputs are {} and {}, the weight {}; expected "
                        "(..., I), (..., J) and (O, J, I).",
                        to_string(x1.spec()),
                        to_string(x2.spec()),
                        to_string(w.spec())));
  }
  const int64_t out = w.shape(0), in2 = w.shape(1), in1 = w.shape(2);
  array y =
      matmul(reshape(x1, {-1, in1}), transpose(reshape(w, {out * in2, in1})));
  y = swapaxes(reshape(y, {-1, out, in2}), 1, 2);
  y = matmul(reshape(x2, {-1, 1, in2}), y);
  Shape shape = x1.shape();
  shape.back() = out;
  y = reshape(y, shape);
  return bias.null() ? y : y + bias;
}

Tree bilinear_init(int in1, int in2, int out, bool bias, Dtype dtype) {
  if (in1 <= 0 || in2 <= 0 || out <= 0) {
    invalid("bilinear_init",
            fmt::format("got {} and {} inputs and {} outputs; expected at "
                        "least one of each.",
                        in1,
                        in2,
                        out));
  }
  double k = 1 / std::sqrt(double(in1));
  Tree t = Tree::map();
  t["weight"] = random::uniform(-k, k, {out, in2, in1}, dtype);
  if (bias) t["bias"] = random::uniform(-k, k, {out}, dtype);
  return t;
}

}  // namespace treadle::nn
