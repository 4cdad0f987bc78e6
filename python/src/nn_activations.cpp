// treadle._core._nn: activation functions.
#include "treadle/nn/functional/activations.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

using namespace nb::literals;

namespace {

using Function = array (*)(const array&);

template <Function f>
void def(nb::module_& m,
         const char* signature,
         const char* name,
         const char* doc) {
  m.def(
      name,
      [](const Operand& x) { return wrap(f(x.to_array())); },
      "x"_a,
      nb::sig(signature),
      doc);
}

// A function of an array and numbers that have defaults.
#define TREADLE_UNARY(name, doc) \
  def<nn::name>(m, "def " #name "(x: array) -> array", #name, doc)

}  // namespace

void bind_nn_activations(nb::module_& m) {
  TREADLE_UNARY(sigmoid, R"(:math:`1 / (1 + e^{-x})`, elementwise.)");
  TREADLE_UNARY(tanh, "Hyperbolic tangent, elementwise.");
  TREADLE_UNARY(relu, R"(:math:`\max(x, 0)`, elementwise.)");
  TREADLE_UNARY(relu2, R"(:math:`\max(x, 0)^2`, elementwise.)");
  TREADLE_UNARY(relu6, R"(:math:`\min(\max(x, 0), 6)`, elementwise.)");
  TREADLE_UNARY(selu,
                R"(:math:`1.0507\, \mathrm{elu}(x, 1.67326)`, elementwise.)");
  TREADLE_UNARY(silu,
                R"(:math:`x \sigma(x)`, elementwise; also called swish.)");
  TREADLE_UNARY(
      gelu, R"(:math:`x (1 + \mathrm{erf}(x / \sqrt 2)) / 2`, elementwise.)");
  TREADLE_UNARY(
      gelu_approx,
      R"(:math:`\frac{x}{2} (1 + \tanh(\sqrt{2 / \pi} (x + 0.044715 x^3)))`, within 0.0005 of :func:`gelu`.)");
  TREADLE_UNARY(gelu_fast_approx,
                R"(:math:`x \sigma(1.702 x)`, within 0.021 of :func:`gelu`.)");
  TREADLE_UNARY(mish, R"(:math:`x \tanh(\mathrm{softplus}(x))`, elementwise.)");
  TREADLE_UNARY(hardswish,
                R"(:math:`x \min(\max(x + 3, 0), 6) / 6`, elementwise.)");
  TREADLE_UNARY(softsign, R"(:math:`x / (1 + |x|)`, elementwise.)");
  TREADLE_UNARY(log_sigmoid, R"(:math:`-\mathrm{softplus}(-x)`, elementwise.)");

#define TREADLE_WITH_NUMBER(name, argument, value, doc)                \
  m.def(                                                               \
      #name,                                                           \
      [](const Operand& x, double v) {                                 \
        return wrap(nn::name(x.to_array(), v));                        \
      },                                                               \
      "x"_a,                                                           \
      #argument##_a = value,                                           \
      nb::sig("def " #name "(x: array, " #argument ": float = " #value \
              ") -> array"),                                           \
      doc)
  TREADLE_WITH_NUMBER(
      leaky_relu,
      negative_slope,
      0.01,
      R"(:math:`\max(x, \text{negative\_slope} \cdot x)`, elementwise.)");
  TREADLE_WITH_NUMBER(
      elu, alpha, 1.0, R"(x where positive, else :math:`\alpha (e^x - 1)`.)");
  TREADLE_WITH_NUMBER(
      celu,
      alpha,
      1.0,
      R"(:math:`\max(0, x) + \alpha (e^{\min(0, x) / \alpha} - 1)`, elementwise.)");
  TREADLE_WITH_NUMBER(softshrink,
                      lambd,
                      0.5,
                      "x moved towards 0 by lambd; 0 where |x| <= lambd.");
  TREADLE_WITH_NUMBER(hard_shrink, lambd, 0.5, "x where |x| > lambd, else 0.");
  TREADLE_WITH_NUMBER(
      step, threshold, 0.0, "1 where x >= threshold, else 0; int32.");

#define TREADLE_ALONG_AXIS(name, doc)                              \
  m.def(                                                           \
      #name,                                                       \
      [](const Operand& x, int axis) {                             \
        return wrap(nn::name(x.to_array(), axis));                 \
      },                                                           \
      "x"_a,                                                       \
      "axis"_a = -1,                                               \
      nb::sig("def " #name "(x: array, axis: int = -1) -> array"), \
      doc)
  TREADLE_ALONG_AXIS(softmax,
                     R"(:math:`e^{x_i} / \sum_j e^{x_j}` along an axis.)");
  TREADLE_ALONG_AXIS(softmin, "softmax(-x) along an axis.");
  TREADLE_ALONG_AXIS(log_softmax,
                     "log(softmax(x)) along an axis, without overflow.");
  TREADLE_ALONG_AXIS(
      glu,
      R"(:math:`a\, \sigma(b)` for the halves a, b of x along an axis of even length.)");

  m.def(
      "prelu",
      [](const Operand& x, const Operand& alpha) {
        array a = x.to_array();
        return wrap(nn::prelu(a, alpha.to_array(a.dtype())));
      },
      "x"_a,
      "alpha"_a,
      nb::sig("def prelu(x: array, alpha: array) -> array"),
      R"(:math:`\max(0, x) + \alpha \min(0, x)`, elementwise; alpha is an array.)");
  m.def(
      "softplus",
      [](const Operand& x, double beta, double threshold) {
        return wrap(nn::softplus(x.to_array(), beta, threshold));
      },
      "x"_a,
      "beta"_a = 1.0,
      "threshold"_a = 20.0,
      nb::sig("def softplus(x: array, beta: float = 1.0, threshold: float = "
              "20.0) -> array"),
      R"(:math:`\log(1 + e^{\beta x}) / \beta`; x itself where :math:`\beta x` > threshold.

With the defaults the exact ``logaddexp(x, 0)``, from which the linear part differs by less than 2.1e-9.)");
  m.def(
      "hard_tanh",
      [](const Operand& x, double low, double high) {
        return wrap(nn::hard_tanh(x.to_array(), low, high));
      },
      "x"_a,
      "min_val"_a = -1.0,
      "max_val"_a = 1.0,
      nb::sig("def hard_tanh(x: array, min_val: float = -1.0, max_val: float = "
              "1.0) -> array"),
      "min(max(x, min_val), max_val), elementwise.");
}

}  // namespace treadle::python
