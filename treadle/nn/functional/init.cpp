#include "treadle/nn/functional/init.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/linalg.h"
#include "treadle/ops/random.h"
#include "treadle/ops/sort.h"
#include "treadle/ops/views.h"

namespace treadle::nn::init {

namespace {

struct Fans {
  double in, out;
  double of(Fan fan) const { return fan == Fan::in ? in : out; }
};

Fans fans_of(std::string_view op, const Shape& shape) {
  if (shape.size() < 2) {
    invalid(op,
            fmt::format("the shape is {}; expected at least two axes.",
                        to_string(shape)));
  }
  double field = 1;
  for (size_t i = 1; i + 1 < shape.size(); ++i) field *= double(shape[i]);
  return {double(shape.back()) * field, double(shape.front()) * field};
}

}  // namespace

Fan fan_named(std::string_view word) {
  if (word == "fan_in") return Fan::in;
  if (word == "fan_out") return Fan::out;
  invalid("init",
          fmt::format("mode is '{}'; expected 'fan_in' or 'fan_out'.", word));
}

Initializer constant(double value, Dtype dtype) {
  return Initializer(
      [=](const Shape& shape) { return full(shape, value, dtype); });
}

Initializer normal(double mean, double std, Dtype dtype) {
  return Initializer([=](const Shape& shape) {
    return random::normal(shape, dtype, mean, std);
  });
}

Initializer uniform(double low, double high, Dtype dtype) {
  return Initializer([=](const Shape& shape) {
    return random::uniform(low, high, shape, dtype);
  });
}

Initializer identity(Dtype dtype) {
  return Initializer([=](const Shape& shape) {
    if (shape.size() != 2 || shape[0] != shape[1]) {
      invalid("identity",
              fmt::format("the shape is {}; expected a square matrix.",
                          to_string(shape)));
    }
    return eye(int(shape[0]), -1, 0, dtype);
  });
}

Initializer glorot_normal(Dtype dtype, double gain) {
  return Initializer([=](const Shape& shape) {
    Fans fans = fans_of("glorot_normal", shape);
    double std = gain * std::sqrt(2 / (fans.in + fans.out));
    return random::normal(shape, dtype, 0, std);
  });
}

Initializer glorot_uniform(Dtype dtype, double gain) {
  return Initializer([=](const Shape& shape) {
    Fans fans = fans_of("glorot_uniform", shape);
    double limit = gain * std::sqrt(6 / (fans.in + fans.out));
    return random::uniform(-limit, limit, shape, dtype);
  });
}

Initializer he_normal(Dtype dtype, Fan fan, double gain) {
  return Initializer([=](const Shape& shape) {
    double std = gain / std::sqrt(fans_of("he_normal", shape).of(fan));
    return random::normal(shape, dtype, 0, std);
  });
}

Initializer he_uniform(Dtype dtype, Fan fan, double gain) {
  return Initializer([=](const Shape& shape) {
    double limit = gain * std::sqrt(3 / fans_of("he_uniform", shape).of(fan));
    return random::uniform(-limit, limit, shape, dtype);
  });
}

Initializer sparse(double sparsity, double mean, double std, Dtype dtype) {
  if (!(sparsity >= 0 && sparsity <= 1)) {
    invalid("sparse",
            fmt::format("the sparsity is {}; expected [0, 1].", sparsity));
  }
  return Initializer([=](const Shape& shape) {
    if (shape.size() != 2) {
      invalid(
          "sparse",
          fmt::format("the shape is {}; expected two axes.", to_string(shape)));
    }
    const int64_t zeroed = int64_t(std::ceil(sparsity * double(shape[1])));
    // Column order[r, k] of row r is zero for k < zeroed.
    array order = argsort(random::uniform(shape), 1);
    array x = random::normal(shape, dtype, mean, std);
    array which = slice(order, {0, 0}, {shape[0], zeroed});
    return put_along_axis(x, which, array(Scalar(0), dtype), 1);
  });
}

Initializer orthogonal(double gain, Dtype dtype) {
  return Initializer([=](const Shape& shape) {
    if (shape.size() != 2) {
      invalid(
          "orthogonal",
          fmt::format("the shape is {}; expected two axes.", to_string(shape)));
    }
    const int64_t n = std::max(shape[0], shape[1]);
    // The first columns of the factor are that of the first columns. Signs that
    // make R's diagonal positive make it unique.
    array x = slice(random::normal({n, n}), {0, 0}, {n, shape[1]});
    auto [q, r] = linalg::qr(x, cpu);
    q = slice(q * sign(diagonal(r)), {0, 0}, shape);
    return astype(gain * q, dtype);
  });
}

}  // namespace treadle::nn::init
