// treadle._core._nn: the functions of treadle/nn/functional, and the way from
// an error back to the module that caused it.
#include <exception>
#include <stdexcept>
#include <string>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "treadle/nn/functional/activations.h"
#include "treadle/nn/functional/init.h"
#include "treadle/nn/functional/linear.h"
#include "treadle/nn/functional/losses.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

using namespace nb::literals;

namespace {

array or_null(const array* a) { return a ? *a : array(); }

nb::dict to_dict(const Tree& parameters) {
  nb::dict d;
  for (size_t i = 0; i < parameters.size(); ++i)
    d[parameters.keys()[i].c_str()] = wrap(parameters[i].leaf());
  return d;
}

// --- where an error happened -------------------------------------------------

// Returns "layers.1 (Linear 64->64): " for the innermost module whose method is
// running, or "". Looking at Python's frames costs nothing until there is an
// error. Leaked on purpose: errors may come while the interpreter ends.
nb::object* module_path = nullptr;

void set_error(PyObject* type, const char* what) {
  std::string message = what;
  if (module_path) {
    try {
      message = nb::cast<std::string>((*module_path)()) + message;
    } catch (nb::python_error&) {  // the error itself matters more
    }
  }
  PyErr_SetString(type, message.c_str());
}

void translate(const std::exception_ptr& error, void*) {
  try {
    std::rethrow_exception(error);
  } catch (const std::invalid_argument& e) {
    set_error(PyExc_ValueError, e.what());
  } catch (const std::out_of_range& e) {
    set_error(PyExc_IndexError, e.what());
  } catch (const std::runtime_error& e) {
    set_error(PyExc_RuntimeError, e.what());
  }
}

// --- functions ---------------------------------------------------------------

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

void bind_activations(nb::module_& m) {
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

void bind_layers(nb::module_& m) {
  m.def(
      "linear",
      [](const array& x, const array& w, const array* bias) {
        return wrap(nn::linear(x, w, or_null(bias)));
      },
      "x"_a,
      "w"_a,
      "bias"_a.none() = nb::none(),
      nb::sig(
          "def linear(x: array, w: array, bias: array | None = None) -> array"),
      R"(:math:`x w^\top + b`. x (..., I), w (O, I), bias (O,) -> (..., O).)");
  m.def(
      "linear_init",
      [](int in, int out, bool bias) {
        return to_dict(nn::linear_init(in, out, bias));
      },
      "input_dims"_a,
      "output_dims"_a,
      "bias"_a = true,
      R"(The weight (out, in) and bias (out,) that Linear starts from, uniform in :math:`\pm 1 / \sqrt{\text{in}}`.)");
}

void bind_losses(nb::module_& m) {
  m.def(
      "cross_entropy",
      [](const array& logits,
         const array& targets,
         const array* weights,
         int axis,
         double smoothing,
         const std::string& reduction,
         const array* class_weights,
         std::optional<int64_t> ignore_index) {
        return wrap(nn::cross_entropy(logits,
                                      targets,
                                      {.weights = or_null(weights),
                                       .class_weights = or_null(class_weights),
                                       .axis = axis,
                                       .label_smoothing = smoothing,
                                       .ignore_index = ignore_index,
                                       .reduction = nn::Reduction(reduction)}));
      },
      "logits"_a,
      "targets"_a,
      "weights"_a.none() = nb::none(),
      "axis"_a = -1,
      "label_smoothing"_a = 0.0,
      "reduction"_a = "none",
      nb::kw_only(),
      "class_weights"_a.none() = nb::none(),
      "ignore_index"_a = nb::none(),
      nb::sig("def cross_entropy(logits: array, targets: array, weights: array "
              "| None = None, axis: int = -1, label_smoothing: float = 0.0, "
              "reduction: str = 'none', *, class_weights: array | None = None, "
              "ignore_index: int | None = None) -> array"),
      R"(:math:`\log \sum_c e^{x_c} - x_t` for the logits x and the class t of each target.

Args:
    logits (array): Unnormalized scores, the classes along ``axis``.
    targets (array): Class indices, of the shape of logits without ``axis``; or a probability for each class, of the
        shape of logits: the second term is then :math:`\sum_c t_c x_c`.
    weights (array, optional): A factor for each loss, of its shape; or one for each class, ``(C,)``.
    axis (int): The axis of the classes. Default: ``-1``.
    label_smoothing (float): The share of the target that all classes get evenly, in [0, 1). Default: ``0``.
    reduction (str): ``"none"``, ``"mean"`` or ``"sum"``. Default: ``"none"``.
    class_weights (array, optional): A factor for each class, ``(C,)``; for class indices only.
    ignore_index (int, optional): Targets of this class cost nothing and do not count in a mean.)");
  m.def(
      "mse_loss",
      [](const array& predictions,
         const array& targets,
         const std::string& reduction) {
        return wrap(
            nn::mse_loss(predictions, targets, nn::Reduction(reduction)));
      },
      "predictions"_a,
      "targets"_a,
      "reduction"_a = "none");
}

void bind_init(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("init", "First values of parameters.");
  namespace init = nn::init;
  m.def("constant", [](const IntOrShape& s, double value, Dtype d) {
    return wrap(init::constant(value, d)(s.shape));
  });
  m.def("normal", [](const IntOrShape& s, double mean, double std, Dtype d) {
    return wrap(init::normal(mean, std, d)(s.shape));
  });
  m.def("uniform", [](const IntOrShape& s, double low, double high, Dtype d) {
    return wrap(init::uniform(low, high, d)(s.shape));
  });
  m.def("identity", [](const IntOrShape& s, Dtype d) {
    return wrap(init::identity(d)(s.shape));
  });
  m.def("glorot_normal", [](const IntOrShape& s, double gain, Dtype d) {
    return wrap(init::glorot_normal(d, gain)(s.shape));
  });
  m.def("glorot_uniform", [](const IntOrShape& s, double gain, Dtype d) {
    return wrap(init::glorot_uniform(d, gain)(s.shape));
  });
  m.def("he_normal",
        [](const IntOrShape& s, const std::string& mode, double gain, Dtype d) {
          return wrap(init::he_normal(d, init::fan_named(mode), gain)(s.shape));
        });
  m.def(
      "he_uniform",
      [](const IntOrShape& s, const std::string& mode, double gain, Dtype d) {
        return wrap(init::he_uniform(d, init::fan_named(mode), gain)(s.shape));
      });
}

}  // namespace

void bind_nn(nb::module_& core) {
  nb::module_ m =
      core.def_submodule("_nn", "The mathematics of layers and losses.");
  bind_activations(m);
  bind_layers(m);
  bind_losses(m);
  bind_init(m);
  bind_nn_trees(m);

  nb::register_exception_translator(translate);
  m.def(
      "set_module_path",
      [](nb::object f) {
        delete module_path;
        module_path = new nb::object(std::move(f));
      },
      "f"_a,
      "Sets the function that says which module an error comes from.");
}

}  // namespace treadle::python
