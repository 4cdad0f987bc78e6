// Gradients of the layer functions against central differences in float64.
#include <cmath>
#include <functional>
#include <limits>

#include "treadle/nn/functional/activations.h"
#include "treadle/nn/functional/conv.h"
#include "treadle/nn/functional/dropout.h"
#include "treadle/nn/functional/linear.h"
#include "treadle/nn/functional/losses.h"
#include "treadle/nn/functional/normalization.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/pool.h"
#include "treadle/ops/random.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/softmax.h"
#include "treadle/ops/views.h"
#include "treadle/transforms/autodiff.h"

#include "tests/nn/values.h"

namespace treadle::nn {
namespace {

using test::fill;

array in_float64(const Shape& shape, int seed, double scale = 1) {
  return astype(fill(shape, seed, scale), float64);
}

struct Case {
  std::string name;
  std::function<array(const Arrays&)> f;
  Arrays x;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

Case activation(std::string name, std::function<array(const array&)> f) {
  return {std::move(name),
          [f](const Arrays& x) { return f(x[0]); },
          {in_float64({3, 4}, 1, 3)}};
}

std::vector<Case> cases() {
  array targets({2, 0, 3}), key = random::key(7);
  array x = in_float64({3, 4}, 0, 3), image = in_float64({2, 5, 4, 2}, 1);
  array c2 = in_float64({2}, 3), positive = abs(in_float64({2}, 4)) + 0.5;
  return {
      activation("sigmoid", nn::sigmoid),
      activation("tanh", nn::tanh),
      activation("relu", nn::relu),
      activation("relu2", nn::relu2),
      activation("relu6", [](const array& v) { return nn::relu6(3 * v); }),
      activation("leaky_relu",
                 [](const array& v) { return leaky_relu(v, 0.2); }),
      activation("elu", [](const array& v) { return elu(v, 0.7); }),
      activation("celu", [](const array& v) { return celu(v, 0.7); }),
      activation("selu", selu),
      activation("silu", silu),
      activation("gelu", gelu),
      activation("gelu_approx", gelu_approx),
      activation("gelu_fast_approx", gelu_fast_approx),
      activation("mish", mish),
      activation("hardswish", [](const array& v) { return hardswish(2 * v); }),
      activation("softplus", [](const array& v) { return softplus(v); }),
      activation("softplus_beta",
                 [](const array& v) { return softplus(v, 2, 3); }),
      activation("softsign", softsign),
      activation("log_sigmoid", log_sigmoid),
      activation("softshrink",
                 [](const array& v) { return softshrink(v, 0.5); }),
      activation("hard_shrink",
                 [](const array& v) { return hard_shrink(v, 0.5); }),
      activation("hard_tanh",
                 [](const array& v) { return hard_tanh(v, -1, 2); }),
      activation("glu", [](const array& v) { return glu(v); }),
      activation("softmax", [](const array& v) { return softmax(v, 0); }),
      activation("softmin", [](const array& v) { return softmin(v); }),
      activation("log_softmax",
                 [](const array& v) { return nn::log_softmax(v); }),
      {"prelu",
       [](const Arrays& v) { return prelu(v[0], v[1]); },
       {x, in_float64({4}, 2)}},
      {"linear",
       [](const Arrays& v) { return linear(v[0], v[1], v[2]); },
       {in_float64({2, 3, 4}, 1), in_float64({5, 4}, 2), in_float64({5}, 3)}},
      {"cross_entropy",
       [=](const Arrays& v) { return cross_entropy(v[0], targets); },
       {x}},
      {"cross_entropy_smoothed_weighted",
       [=](const Arrays& v) {
         return cross_entropy(v[0],
                              targets,
                              {.class_weights = v[1],
                               .label_smoothing = 0.2,
                               .ignore_index = 3,
                               .reduction = "mean"});
       },
       {x, abs(in_float64({4}, 5))}},
      {"cross_entropy_of_probabilities",
       [](const Arrays& v) { return cross_entropy(v[0], v[1], {.axis = 0}); },
       {x, softmax(in_float64({3, 4}, 2), 0)}},
      {"mse_loss",
       [](const Arrays& v) { return mse_loss(v[0], v[1], "mean"); },
       {x, in_float64({3, 4}, 5)}},
      {"batch_norm",
       [=](const Arrays& v) {
         BatchNormed r = batch_norm(v[0], v[1], v[2], c2, positive);
         return concatenate({flatten(r.y), r.running_mean, r.running_var});
       },
       {image, in_float64({2}, 5), in_float64({2}, 6)}},
      {"batch_norm_with",
       [](const Arrays& v) {
         return batch_norm_with(v[0], v[1], v[2], v[3], v[4]);
       },
       {image, in_float64({2}, 5), in_float64({2}, 6), c2, positive}},
      {"conv2d",
       [](const Arrays& v) {
         return nn::conv2d(v[0], v[1], v[2], {2, 1}, 1, 1);
       },
       {image, in_float64({3, 3, 2, 2}, 2), in_float64({3}, 3)}},
      {"max_pool",
       [](const Arrays& v) {
         return max_pool(v[0], {2, 2});
       },
       {image}},
      {"avg_pool",
       [](const Arrays& v) {
         return avg_pool(v[0], {3, 2}, {2, 1}, {1, 0});
       },
       {image}},
      {"dropout",
       [=](const Arrays& v) { return dropout(v[0], 0.4, key); },
       {x}},
  };
}

class Gradient : public testing::TestWithParam<Case> {};

TEST_P(Gradient, IsTheSlope) {
  const Case& c = GetParam();
  // One number from all results, each with a weight of its own.
  auto f = [&](const Arrays& x) {
    array y = c.f(x);
    return Arrays{sum(y * astype(fill(y.shape(), 7), y.dtype()))};
  };
  std::vector<int> argnums;
  for (size_t i = 0; i < c.x.size(); ++i) argnums.push_back(int(i));
  Arrays gradients = grad(f, argnums)(c.x);
  constexpr double kStep = 1e-5;
  for (size_t i = 0; i < c.x.size(); ++i) {
    ASSERT_EQ(gradients[i].dtype(), float64);
    std::vector<double> got = gradients[i].to_vector<double>();
    std::vector<double> values = c.x[i].to_vector<double>();
    for (size_t k = 0; k < values.size(); ++k) {
      auto at = [&](double step) {
        std::vector<double> moved = values;
        moved[k] += step;
        Arrays x = c.x;
        x[i] = array::from(moved.data(), c.x[i].shape());
        return f(x)[0].item<double>();
      };
      double slope = (at(kStep) - at(-kStep)) / (2 * kStep);
      EXPECT_NEAR(got[k], slope, 1e-8 * std::max(1.0, std::abs(slope)))
          << "argument " << i << ", element " << k;
    }
  }
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  return info.param.name;
}

// At the bends as in MLX; beyond them also where MLX has NaN.
TEST(Gradients, HardswishAtItsBends) {
  const float inf = std::numeric_limits<float>::infinity();
  const array x({-inf, -4.f, -3.f, 0.f, 3.f, 4.f, inf, NAN});
  const auto total = [](const Arrays& in) -> Arrays {
    return {sum(hardswish(in[0]))};
  };
  std::vector<float> got = grad(total)({x})[0].to_vector<float>();
  EXPECT_TRUE(std::isnan(got.back()));
  got.pop_back();
  EXPECT_EQ(got, (std::vector<float>{0, 0, 0, 0.5, 1, 1, 1}));
}

INSTANTIATE_TEST_SUITE_P(Functions,
                         Gradient,
                         testing::ValuesIn(cases()),
                         case_name);

}  // namespace
}  // namespace treadle::nn
