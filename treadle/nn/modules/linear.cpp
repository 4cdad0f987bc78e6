#include "treadle/nn/modules/linear.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/functional/linear.h"

namespace treadle::nn {

Linear::Linear(int input_dims, int output_dims, bool with_bias) {
  Tree t = linear_init(input_dims, output_dims, with_bias);
  weight = t.at("weight").leaf();
  if (with_bias) bias = t.at("bias").leaf();
}

array Linear::operator()(const array& x) const {
  ModuleScope scope(label());
  return linear(x, weight, bias);
}

std::string Linear::extra_repr() const {
  return fmt::format("input_dims={}, output_dims={}, bias={}",
                     weight.shape(1),
                     weight.shape(0),
                     bias.null() ? "False" : "True");
}

std::string Linear::brief() const {
  return fmt::format("{}->{}", weight.shape(1), weight.shape(0));
}

}  // namespace treadle::nn
