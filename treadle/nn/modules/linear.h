// Linear: the affine layer.
#pragma once

#include <string>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// x w^T + b. weight (output_dims, input_dims) and bias (output_dims,) start
// uniform in +-1/sqrt(input_dims).
struct Linear : Module {
  Linear(int input_dims, int output_dims, bool with_bias = true);

  array weight;
  array bias;  // null without bias
  TREADLE_MODULE(Linear, weight, bias)

  array operator()(
      const array& x) const;  // (..., input_dims) -> (..., output_dims)
  std::string extra_repr() const override;
  std::string brief() const override;
};

// x1^T W x2 + b; see bilinear. weight (output_dims, input2_dims, input1_dims).
struct Bilinear : Module {
  Bilinear(int input1_dims,
           int input2_dims,
           int output_dims,
           bool with_bias = true);

  array weight;
  array bias;  // null without bias
  TREADLE_MODULE(Bilinear, weight, bias)

  array operator()(const array& x1, const array& x2) const;
  std::string extra_repr() const override;
};

// Gives back what it gets.
struct Identity : Module {
  TREADLE_MODULE(Identity)
  array operator()(const array& x) const { return x; }
};

}  // namespace treadle::nn
