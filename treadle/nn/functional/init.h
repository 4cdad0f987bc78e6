// Initializers: the first values of parameters. A factory returns a function
// that makes an array of a shape, in float32 or another dtype:
//
//   layer.weight = init::he_normal()(layer.weight.shape());
//
// The fans of a shape are those of a layer's weight, (out, ..., in): fan_in is
// the last length, fan_out the first, each times all lengths between.
#pragma once

#include <concepts>
#include <functional>
#include <string_view>

#include "treadle/graph/array.h"

namespace treadle::nn::init {

class Initializer {
 public:
  explicit Initializer(std::function<array(const Shape&)> make)
      : make_(std::move(make)) {}
  array operator()(const Shape& shape) const { return make_(shape); }
  // Of the shape of `like`; its values do not matter. A template, so that
  // {2, 3} is a shape.
  template <std::same_as<array> A>
  array operator()(const A& like) const {
    return make_(like.shape());
  }

 private:
  std::function<array(const Shape&)> make_;
};

enum class Fan : uint8_t { in, out };
// "fan_in" or "fan_out"; throws std::invalid_argument for other words.
Fan fan_named(std::string_view word);

Initializer constant(double value, Dtype dtype = float32);
Initializer normal(double mean = 0, double std = 1, Dtype dtype = float32);
// In [low, high).
Initializer uniform(double low = 0, double high = 1, Dtype dtype = float32);
// The identity matrix; the shape must be square.
Initializer identity(Dtype dtype = float32);

// The four below need a shape of at least two axes and throw
// std::invalid_argument for others.

// Normal, standard deviation gain sqrt(2 / (fan_in + fan_out)). (Glorot &
// Bengio 2010)
Initializer glorot_normal(Dtype dtype = float32, double gain = 1);
// Uniform in +-gain sqrt(6 / (fan_in + fan_out)).
Initializer glorot_uniform(Dtype dtype = float32, double gain = 1);
// Normal, standard deviation gain / sqrt(fan). (He et al. 2015, whose gain for
// ReLU is sqrt 2.)
Initializer he_normal(Dtype dtype = float32,
                      Fan fan = Fan::in,
                      double gain = 1);
// Uniform in +-gain sqrt(3 / fan).
Initializer he_uniform(Dtype dtype = float32,
                       Fan fan = Fan::in,
                       double gain = 1);

// A matrix of normal numbers of which each row has ceil(sparsity columns)
// zeros at random places. Throws std::invalid_argument for shapes of other than
// two axes, and a sparsity outside [0, 1]. (Martens 2010)
Initializer sparse(double sparsity,
                   double mean = 0,
                   double std = 1,
                   Dtype dtype = float32);

// gain times a matrix with orthonormal rows or columns, whichever are fewer: a
// part of the orthogonal factor of a square matrix of normal numbers. Throws
// std::invalid_argument for shapes of other than two axes. (Saxe et al. 2014)
Initializer orthogonal(double gain = 1, Dtype dtype = float32);

}  // namespace treadle::nn::init
