#include "treadle/nn/functional/activations.h"

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/softmax.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

array sigmoid(const array& x) { return treadle::sigmoid(x); }
array tanh(const array& x) { return treadle::tanh(x); }

array relu(const array& x) { return maximum(x, 0); }
array relu2(const array& x) { return square(relu(x)); }
array relu6(const array& x) { return minimum(relu(x), 6.0); }
array leaky_relu(const array& x, double slope) { return maximum(slope * x, x); }
array prelu(const array& x, const array& alpha) {
  return maximum(x, 0) + alpha * minimum(x, 0);
}

// The branch that is not taken must stay finite: its derivative is multiplied
// by zero, and inf * 0 is NaN. Hence min(x, 0) below.
array elu(const array& x, double alpha) {
  return select(x > 0, x, alpha * expm1(minimum(x, 0)));
}
array celu(const array& x, double alpha) {
  return maximum(x, 0.0) + alpha * expm1(minimum(x, 0.0) / alpha);
}
array selu(const array& x) { return elu(x, 1.67326) * 1.0507; }

array silu(const array& x) { return x * treadle::sigmoid(x); }
array gelu(const array& x) {
  return x * (1 + erf(x * (1 / std::numbers::sqrt2))) * 0.5;
}
array gelu_approx(const array& x) {
  const double k = std::sqrt(2 / std::numbers::pi);
  return 0.5 * x * (1 + treadle::tanh(k * (x + 0.044715 * (x * square(x)))));
}
array gelu_fast_approx(const array& x) {
  return x * treadle::sigmoid(1.702 * x);
}
array mish(const array& x) { return x * treadle::tanh(softplus(x)); }

namespace {

// With its derivative as one formula, in half the rows of the one that follows
// from expand(). At the bends it is that of the outer part, as in MLX.
struct Hardswish : Composite<Hardswish> {
  static constexpr std::string_view op_name = "hardswish";
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Arrays expand(const Arrays& x) const override {
    return {x[0] * minimum(maximum(x[0] + 3, 0), 6) * (1.0 / 6)};
  }
  Arrays jvp(const Arrays& x,
             const Arrays&,
             const Arrays& t,
             Argnums) const override {
    return {t[0] * slope(x[0])};
  }
  Arrays vjp(const Arrays& x,
             const Arrays&,
             const Arrays& ct,
             Argnums) const override {
    return {ct[0] * slope(x[0])};
  }

 private:
  static array slope(const array& x) {
    return select(x <= -3, 0, select(x >= 3, 1, x * (1.0 / 3) + 0.5));
  }
};

}  // namespace

array hardswish(const array& x) {
  return record(
      Hardswish(), {astype(x, at_least_float(x.dtype()))}, resolve({}));
}

array softplus(const array& x, double beta, double threshold) {
  if (beta == 1 && threshold == 20) return logaddexp(x, 0);
  array scaled = beta * x;
  return select(scaled > threshold, x, logaddexp(scaled, 0) / beta);
}
array softsign(const array& x) { return x / (1 + abs(x)); }
array log_sigmoid(const array& x) { return -softplus(-x); }
array softshrink(const array& x, double lambd) {
  // A bound that comes first leaves the derivative at a tie to x, so that of
  // the whole is 0 there.
  return x - minimum(lambd, maximum(-lambd, x));
}
array hard_shrink(const array& x, double lambd) {
  return select(abs(x) > lambd, x, 0);
}
array hard_tanh(const array& x, double min_val, double max_val) {
  return minimum(maximum(x, min_val), max_val);
}
array step(const array& x, double threshold) {
  return astype(x >= threshold, int32);
}

array glu(const array& x, int axis) {
  Arrays halves = split(x, 2, axis);
  return halves[0] * treadle::sigmoid(halves[1]);
}

array softmax(const array& x, int axis) { return treadle::softmax(x, axis); }
array softmin(const array& x, int axis) { return treadle::softmax(-x, axis); }
array log_softmax(const array& x, int axis) {
  return treadle::log_softmax(x, axis);
}

std::function<array(const array&)> activation_named(std::string_view name) {
  struct Row {
    std::string_view name;
    array (*function)(const array&);
  };
#define ACTIVATION(Class, function) \
  {#function, [](const array& x) { return nn::function(x); }},
#define ACTIVATION_WITH(Class, function, number, value) \
  ACTIVATION(Class, function)
  static constexpr Row rows[] = {
#include "treadle/nn/functional/activations.def"
      {"softplus", [](const array& x) { return softplus(x); }},
      {"hard_tanh", [](const array& x) { return hard_tanh(x); }},
      {"hardtanh", [](const array& x) { return hard_tanh(x); }},
      {"hardshrink", [](const array& x) { return hard_shrink(x); }},
      {"glu", [](const array& x) { return glu(x); }},
      {"gelu", gelu},
      {"gelu_approx", gelu_approx},
      {"gelu_fast_approx", gelu_fast_approx},
  };
  std::string known;
  for (const Row& row : rows) {
    if (row.name == name) return row.function;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  invalid("activation",
          fmt::format("'{}' is not known; expected one of {}.", name, known));
}

}  // namespace treadle::nn
