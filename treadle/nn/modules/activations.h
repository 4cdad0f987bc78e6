// Activation functions as layers, for Sequential. The formulas are in
// functional/activations.h.
#pragma once

#include <string>

#include "treadle/nn/functional/activations.h"
#include "treadle/nn/modules/module.h"

namespace treadle::nn {

#define ACTIVATION(Class, function)                                \
  struct Class : Module {                                          \
    TREADLE_MODULE(Class)                                          \
    array operator()(const array& x) const { return function(x); } \
  };
#define ACTIVATION_WITH(Class, function, number, value)                    \
  struct Class : Module {                                                  \
    explicit Class(double number = value) : number(number) {}              \
    double number;                                                         \
    TREADLE_MODULE(Class)                                                  \
    array operator()(const array& x) const { return function(x, number); } \
  };
#include "treadle/nn/functional/activations.def"

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
