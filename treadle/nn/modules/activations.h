// Activation functions as layers, for Sequential. The formulas are in
// functional/activations.h.
#pragma once

#include <string>

#include "treadle/nn/functional/activations.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// Layers without arguments: class, function.
#define TREADLE_ACTIVATION(Class, function)                        \
  struct Class : Module {                                          \
    TREADLE_MODULE(Class)                                          \
    array operator()(const array& x) const { return function(x); } \
  };
TREADLE_ACTIVATION(Sigmoid, sigmoid)
TREADLE_ACTIVATION(Tanh, tanh)
TREADLE_ACTIVATION(ReLU, relu)
TREADLE_ACTIVATION(ReLU2, relu2)
TREADLE_ACTIVATION(ReLU6, relu6)
TREADLE_ACTIVATION(SELU, selu)
TREADLE_ACTIVATION(SiLU, silu)
TREADLE_ACTIVATION(Mish, mish)
TREADLE_ACTIVATION(Hardswish, hardswish)
TREADLE_ACTIVATION(Softsign, softsign)
TREADLE_ACTIVATION(LogSigmoid, log_sigmoid)
TREADLE_ACTIVATION(Softmax, softmax)
TREADLE_ACTIVATION(Softmin, softmin)
TREADLE_ACTIVATION(LogSoftmax, log_softmax)
#undef TREADLE_ACTIVATION

// Layers with one number: class, function, the number and its default.
#define TREADLE_ACTIVATION(Class, function, number, value)                 \
  struct Class : Module {                                                  \
    explicit Class(double number = value) : number(number) {}              \
    double number;                                                         \
    TREADLE_MODULE(Class)                                                  \
    array operator()(const array& x) const { return function(x, number); } \
  };
TREADLE_ACTIVATION(LeakyReLU, leaky_relu, negative_slope, 0.01)
TREADLE_ACTIVATION(ELU, elu, alpha, 1)
TREADLE_ACTIVATION(CELU, celu, alpha, 1)
TREADLE_ACTIVATION(Softshrink, softshrink, lambd, 0.5)
TREADLE_ACTIVATION(HardShrink, hard_shrink, lambd, 0.5)
TREADLE_ACTIVATION(Step, step, threshold, 0)
#undef TREADLE_ACTIVATION

struct HardTanh : Module {
  explicit HardTanh(double min_val = -1, double max_val = 1)
      : min_val(min_val), max_val(max_val) {}
  double min_val, max_val;
  TREADLE_MODULE(HardTanh)
  array operator()(const array& x) const {
    return hard_tanh(x, min_val, max_val);
  }
};

struct Softplus : Module {
  explicit Softplus(double beta = 1, double threshold = 20)
      : beta(beta), threshold(threshold) {}
  double beta, threshold;
  TREADLE_MODULE(Softplus)
  array operator()(const array& x) const {
    return softplus(x, beta, threshold);
  }
};

struct GLU : Module {
  explicit GLU(int axis = -1) : axis(axis) {}
  int axis;
  TREADLE_MODULE(GLU)
  array operator()(const array& x) const { return glu(x, axis); }
};

// approx: "none", "precise" or "tanh" (the tanh formula), "fast" (the sigmoid
// formula); another word throws std::invalid_argument.
struct GELU : Module {
  explicit GELU(const std::string& approx = "none");
  TREADLE_MODULE(GELU)
  array operator()(const array& x) const { return function(x); }

 private:
  array (*function)(const array&);
};

// A learned slope below zero, for all channels or for each.
struct PReLU : Module {
  explicit PReLU(int num_parameters = 1, double init = 0.25);
  array weight;  // (num_parameters,)
  TREADLE_MODULE(PReLU, weight)
  array operator()(const array& x) const { return prelu(x, weight); }
};

}  // namespace treadle::nn
