#include "treadle/nn/functional/conv.h"

#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/conv.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/random.h"

namespace treadle::nn {

std::string Size2::to_string() const {
  return fmt::format("({}, {})", height, width);
}

array conv2d(const array& x,
             const array& w,
             const array& bias,
             Size2 stride,
             Size2 padding,
             Size2 dilation,
             int groups) {
  array y = treadle::conv2d(x, w, stride, padding, dilation, groups);
  return bias.null() ? y : y + bias;
}

Tree conv2d_init(
    int in, int out, Size2 kernel, int groups, bool bias, Dtype dtype) {
  if (in <= 0 || out <= 0 || kernel.height <= 0 || kernel.width <= 0 ||
      groups <= 0) {
    invalid("conv2d_init",
            fmt::format("got {} input and {} output channels, kernel {}, {} "
                        "groups; expected positive numbers.",
                        in,
                        out,
                        kernel.to_string(),
                        groups));
  }
  if (in % groups != 0 || out % groups != 0) {
    invalid("conv2d_init",
            fmt::format("{} groups do not divide {} input and {} output "
                        "channels.",
                        groups,
                        in,
                        out));
  }
  double k = 1 / std::sqrt(double(in / groups) * kernel.height * kernel.width);
  Tree t = Tree::map();
  t["weight"] = random::uniform(
      -k, k, {out, kernel.height, kernel.width, in / groups}, dtype);
  if (bias) t["bias"] = zeros({out}, dtype);
  return t;
}

}  // namespace treadle::nn
