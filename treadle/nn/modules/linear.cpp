#include "treadle/nn/modules/linear.h"

#include <fmt/format.h>

#include "treadle/nn/functional/linear.h"
#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/repr.h"

namespace treadle::nn {

Linear::Linear(int input_dims, int output_dims, bool with_bias) {
  Tree t = linear_init(input_dims, output_dims, with_bias);
  weight = t.at("weight").leaf();
  if (with_bias) bias = t.at("bias").leaf();
}

array Linear::operator()(const array& x) const {
  const Call call(*this);
  return call(linear(x, weight, bias));
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

Bilinear::Bilinear(int input1_dims,
                   int input2_dims,
                   int output_dims,
                   bool with_bias) {
  Tree t = bilinear_init(input1_dims, input2_dims, output_dims, with_bias);
  weight = t.at("weight").leaf();
  if (with_bias) bias = t.at("bias").leaf();
}

array Bilinear::operator()(const array& x1, const array& x2) const {
  const Call call(*this);
  return call(bilinear(x1, x2, weight, bias));
}

std::string Bilinear::extra_repr() const {
  return fmt::format("input1_dims={}, input2_dims={}, output_dims={}, bias={}",
                     weight.shape(2),
                     weight.shape(1),
                     weight.shape(0),
                     python(!bias.null()));
}

}  // namespace treadle::nn
