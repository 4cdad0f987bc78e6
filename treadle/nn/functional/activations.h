// Activation functions: elementwise, of any shape, and the softmax family along
// one axis. Results have the dtype of x; integers become float32.
#pragma once

#include <functional>
#include <string_view>

#include "treadle/graph/array.h"

namespace treadle::nn {

array sigmoid(const array& x);  // 1 / (1 + e^-x)
array tanh(const array& x);

array relu(const array& x);   // max(x, 0)
array relu2(const array& x);  // max(x, 0)^2
array relu6(const array& x);  // min(max(x, 0), 6)
array leaky_relu(const array& x, double negative_slope = 0.01);
// max(0, x) + alpha min(0, x)
array prelu(const array& x, const array& alpha);
// x where positive, else alpha (e^x - 1)
array elu(const array& x, double alpha = 1);
// max(0, x) + alpha (e^(min(0, x) / alpha) - 1)
array celu(const array& x, double alpha = 1);
// 1.0507 elu(x, 1.67326)
array selu(const array& x);

array silu(const array& x);  // x sigmoid(x)
// x (1 + erf(x / sqrt 2)) / 2
array gelu(const array& x);
// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))): within 0.0005 of gelu
array gelu_approx(const array& x);
// x sigmoid(1.702 x): within 0.021 of gelu
array gelu_fast_approx(const array& x);
// x tanh(softplus(x))
array mish(const array& x);
// x min(max(x + 3, 0), 6) / 6
array hardswish(const array& x);

// log(1 + e^(beta x)) / beta; x itself where beta x > threshold. With the
// defaults the exact logaddexp(x, 0), which the linear part differs from by
// less than 2.1e-9.
array softplus(const array& x, double beta = 1, double threshold = 20);
array softsign(const array& x);     // x / (1 + |x|)
array log_sigmoid(const array& x);  // -softplus(-x)
// x moved towards 0 by lambd; 0 where |x| <= lambd
array softshrink(const array& x, double lambd = 0.5);
// x where |x| > lambd, else 0
array hard_shrink(const array& x, double lambd = 0.5);
// min(max(x, min_val), max_val)
array hard_tanh(const array& x, double min_val = -1, double max_val = 1);
// 1 where x >= threshold, else 0, int32
array step(const array& x, double threshold = 0);

// a sigmoid(b) for the halves a, b of x along axis, whose length must be even.
array glu(const array& x, int axis = -1);

// e^x_i / sum_j e^x_j along axis
array softmax(const array& x, int axis = -1);
// softmax(-x)
array softmin(const array& x, int axis = -1);
// log softmax(x), without overflow
array log_softmax(const array& x, int axis = -1);

// One of these by its name, with the defaults of its other arguments; throws
// std::invalid_argument for other names.
std::function<array(const array&)> activation_named(std::string_view name);

}  // namespace treadle::nn
