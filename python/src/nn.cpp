// treadle._core._nn: the functions of treadle/nn/functional, and the way from
// an error back to the module that caused it.
#include <string>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "treadle/base/error.h"
#include "treadle/graph/module_name.h"
#include "treadle/nn/functional/activations.h"
#include "treadle/nn/functional/conv.h"
#include "treadle/nn/functional/dropout.h"
#include "treadle/nn/functional/embedding.h"
#include "treadle/nn/functional/init.h"
#include "treadle/nn/functional/linear.h"
#include "treadle/nn/functional/normalization.h"
#include "treadle/nn/functional/pooling.h"
#include "treadle/nn/functional/upsample.h"
#include "treadle/ops/pool.h"

#include "bindings.h"
#include "convert.h"
#include "tree.h"

namespace treadle::python {

using namespace nb::literals;

namespace {

array or_null(const array* a) { return a ? *a : array(); }

// --- where an error happened -------------------------------------------------

// Returns "layers.1 (Linear 64->64): " for the innermost module whose method is
// running, or "". Looking at Python's frames costs nothing until there is an
// error. Leaked on purpose: errors may come while the interpreter ends.
nb::object* module_path = nullptr;
// The same without the colon, quick enough to be asked for a large result.
nb::object* module_name = nullptr;

std::shared_ptr<const std::string> name_of_running_module() {
  if (!Py_IsInitialized() || !PyGILState_Check()) return nullptr;
  try {
    auto name = nb::cast<std::string>((*module_name)());
    if (name.empty()) return nullptr;
    return std::make_shared<const std::string>(std::move(name));
  } catch (const std::exception&) {  // a name is not worth an error
    return nullptr;
  }
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
  m.def(
      "bilinear",
      [](const array& x1, const array& x2, const array& w, const array* bias) {
        return wrap(nn::bilinear(x1, x2, w, or_null(bias)));
      },
      "x1"_a,
      "x2"_a,
      "w"_a,
      "bias"_a.none() = nb::none(),
      "x1^T W x2 + b: x1 (..., I), x2 (..., J), w (O, J, I) -> (..., O).");
  m.def(
      "bilinear_init",
      [](int in1, int in2, int out, bool bias) {
        return to_dict(nn::bilinear_init(in1, in2, out, bias));
      },
      "input1_dims"_a,
      "input2_dims"_a,
      "output_dims"_a,
      "bias"_a = true,
      "The weight (out, in2, in1) and bias (out,) that Bilinear starts from.");
  m.def(
      "embedding",
      [](const Operand& x, const array& w) {
        return wrap(nn::embedding(x.to_array(), w));
      },
      "x"_a,
      "w"_a,
      nb::sig("def embedding(x: array, w: array) -> array"),
      "Rows of a table: x (...) integers, w (N, D) -> (..., D).");
  m.def(
      "embedding_init",
      [](int num, int dims) { return to_dict(nn::embedding_init(num, dims)); },
      "num_embeddings"_a,
      "dims"_a,
      R"(The weight (num, dims) that Embedding starts from, normal with deviation :math:`1 / \sqrt{\text{dims}}`.)");
}

void bind_nn_conv(nb::module_& m) {
  m.def(
      "conv",
      [](const array& x,
         const array& w,
         const array* bias,
         const IntOrShape& stride,
         const IntOrShape& padding,
         const IntOrShape& dilation,
         int groups) {
        return wrap(nn::conv(x,
                             w,
                             or_null(bias),
                             stride.shape,
                             padding.shape,
                             dilation.shape,
                             groups));
      },
      "x"_a,
      "w"_a,
      "bias"_a.none() = nb::none(),
      "stride"_a = 1,
      "padding"_a = 0,
      "dilation"_a = 1,
      "groups"_a = 1,
      "Convolution over 1, 2 or 3 spatial axes, plus a bias: x (N, ..., C), w "
      "(O, ..., C / groups) -> (N, ..., O).");
  m.def(
      "conv_transpose",
      [](const array& x,
         const array& w,
         const array* bias,
         const IntOrShape& stride,
         const IntOrShape& padding,
         const IntOrShape& dilation,
         const IntOrShape& output_padding) {
        return wrap(nn::conv_transpose(x,
                                       w,
                                       or_null(bias),
                                       stride.shape,
                                       padding.shape,
                                       dilation.shape,
                                       output_padding.shape));
      },
      "x"_a,
      "w"_a,
      "bias"_a.none() = nb::none(),
      "stride"_a = 1,
      "padding"_a = 0,
      "dilation"_a = 1,
      "output_padding"_a = 0,
      "Transposed convolution plus a bias: x (N, ..., C), w (O, ..., C) -> (N, "
      "..., O).");
  m.def(
      "conv_init",
      [](int in, int out, const Shape& kernel, int groups, bool bias) {
        return to_dict(nn::conv_init(in, out, kernel, groups, bias));
      },
      "in_channels"_a,
      "out_channels"_a,
      "kernel"_a,
      "groups"_a = 1,
      "bias"_a = true,
      "The weight (out, ..., in / groups) and bias (out,) that a convolution "
      "starts from.");
  m.def(
      "max_pool",
      [](const array& x,
         const Shape& window,
         const Shape& stride,
         const Shape& padding) {
        return wrap(max_pool(x, window, stride, padding));
      },
      "x"_a,
      "window"_a,
      "stride"_a,
      "padding"_a,
      "The largest value of each window; padding counts as the lowest.");
  m.def(
      "avg_pool",
      [](const array& x,
         const Shape& window,
         const Shape& stride,
         const Shape& padding) {
        return wrap(avg_pool(x, window, stride, padding));
      },
      "x"_a,
      "window"_a,
      "stride"_a,
      "padding"_a,
      "The mean of each window; padding counts as zeros.");
}

void bind_resampling(nb::module_& m) {
  m.def(
      "adaptive_avg_pool",
      [](const array& x, const Shape& size) {
        return wrap(nn::adaptive_avg_pool(x, size));
      },
      "x"_a,
      "size"_a,
      "Means over windows such that `size` of them, one number for each "
      "spatial axis, cover x (N, ..., C); -1 keeps an axis.");
  m.def(
      "adaptive_max_pool",
      [](const array& x, const Shape& size) {
        return wrap(nn::adaptive_max_pool(x, size));
      },
      "x"_a,
      "size"_a,
      "The largest values of the same windows.");
  m.def(
      "upsample_nearest",
      [](const array& x, const nn::Scales& scale) {
        return wrap(nn::upsample_nearest(x, scale));
      },
      "x"_a,
      "scale"_a,
      "Spatial axes of x (N, ..., C) with `scale` times as many elements, each "
      "the nearest one.");
  using Resample =
      array (*)(const array&, const nn::Scales&, const nn::Interpolation&);
  auto add = [&m](const char* name, Resample f, const char* doc) {
    m.def(
        name,
        [f](const array& x,
            const nn::Scales& scale,
            bool align_corners,
            bool antialias) {
          return wrap(f(x, scale, {align_corners, antialias}));
        },
        "x"_a,
        "scale"_a,
        "align_corners"_a = false,
        "antialias"_a = false,
        doc);
  };
  add("upsample_linear",
      nn::upsample_linear,
      "The same, with elements between two neighbours.");
  add("upsample_cubic",
      nn::upsample_cubic,
      "The same, with elements on a cubic through four neighbours.");
}

void bind_norms(nb::module_& m) {
  m.def(
      "batch_norm",
      [](const array& x,
         const array* weight,
         const array* bias,
         const array* running_mean,
         const array* running_var,
         double momentum,
         double eps) {
        nn::BatchNormed r = nn::batch_norm(x,
                                           or_null(weight),
                                           or_null(bias),
                                           or_null(running_mean),
                                           or_null(running_var),
                                           momentum,
                                           eps);
        nb::object mean = nb::none(), var = nb::none();
        if (running_mean) {
          mean = wrap(r.running_mean);
          var = wrap(r.running_var);
        }
        return nb::make_tuple(wrap(r.y), mean, var);
      },
      "x"_a,
      "weight"_a.none(),
      "bias"_a.none(),
      "running_mean"_a.none(),
      "running_var"_a.none(),
      "momentum"_a = 0.1,
      "eps"_a = 1e-5,
      "Batch normalization with the statistics of x; returns the result and "
      "the new running mean and variance.");
  m.def(
      "batch_norm_with",
      [](const array& x,
         const array* weight,
         const array* bias,
         const array* mean,
         const array* var,
         double eps) {
        return wrap(nn::batch_norm_with(x,
                                        or_null(weight),
                                        or_null(bias),
                                        or_null(mean),
                                        or_null(var),
                                        eps));
      },
      "x"_a,
      "weight"_a.none(),
      "bias"_a.none(),
      "mean"_a.none(),
      "var"_a.none(),
      "eps"_a = 1e-5,
      "Batch normalization with a given mean and variance; None stands for "
      "those of x.");
}

void bind_other_norms(nb::module_& m) {
  m.def(
      "group_norm",
      [](const array& x,
         int groups,
         const array* weight,
         const array* bias,
         double eps,
         bool pytorch_compatible) {
        return wrap(nn::group_norm(x,
                                   groups,
                                   or_null(weight),
                                   or_null(bias),
                                   eps,
                                   pytorch_compatible));
      },
      "x"_a,
      "groups"_a,
      "weight"_a.none(),
      "bias"_a.none(),
      "eps"_a = 1e-5,
      "pytorch_compatible"_a = false,
      "Groups of channels normalised over space; x (N, ..., C).");
  m.def(
      "instance_norm",
      [](const array& x, const array* weight, const array* bias, double eps) {
        return wrap(nn::instance_norm(x, or_null(weight), or_null(bias), eps));
      },
      "x"_a,
      "weight"_a.none(),
      "bias"_a.none(),
      "eps"_a = 1e-5,
      "Each channel of each example normalised over space; x (N, ..., C).");
}

void bind_dropout(nb::module_& m) {
  using Dropout = array (*)(const array&, double, const array&);
  auto add = [&m](const char* name, Dropout f, const char* doc) {
    m.def(
        name,
        [f](const array& x, double p, const array* key) {
          return wrap(f(x, p, or_null(key)));
        },
        "x"_a,
        "p"_a = 0.5,
        "key"_a.none() = nb::none(),
        doc);
  };
  add("dropout",
      nn::dropout,
      "Zeroes each element with probability p and divides the others by 1 - "
      "p.");
  add("dropout2d",
      nn::dropout2d,
      "Dropout of whole channels of images, (N, H, W, C) or (H, W, C).");
  add("dropout3d",
      nn::dropout3d,
      "Dropout of whole channels of volumes, (N, D, H, W, C) or (D, H, W, C).");
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
  m.def("sparse",
        [](const IntOrShape& s,
           double sparsity,
           double mean,
           double std,
           Dtype d) {
          return wrap(init::sparse(sparsity, mean, std, d)(s.shape));
        });
  m.def("orthogonal", [](const IntOrShape& s, double gain, Dtype d) {
    return wrap(init::orthogonal(gain, d)(s.shape));
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

nb::dict to_dict(const Tree& parameters) {
  nb::dict d;
  for (size_t i = 0; i < parameters.size(); ++i)
    d[parameters.keys()[i].c_str()] = wrap(parameters[i].leaf());
  return d;
}

void set_error(PyObject* type, const char* what) {
  std::string message = what;
  // A module that has been entered is named already.
  if (module_path && current_module_path().empty()) {
    try {
      message = nb::cast<std::string>((*module_path)()) + message;
    } catch (nb::python_error&) {  // the error itself matters more
    }
  }
  PyErr_SetString(type, message.c_str());
}

void bind_nn(nb::module_& core) {
  nb::module_ m =
      core.def_submodule("_nn", "The mathematics of layers and losses.");
  bind_nn_activations(m);
  bind_layers(m);
  bind_nn_conv(m);
  bind_resampling(m);
  bind_norms(m);
  bind_other_norms(m);
  bind_dropout(m);
  bind_nn_attention(m);
  bind_nn_losses(m);
  bind_nn_recurrent(m);
  bind_init(m);
  bind_nn_torch(m);
  bind_nn_trees(m);

  m.def(
      "set_module_path",
      [](nb::object f) {
        delete module_path;
        module_path = new nb::object(std::move(f));
      },
      "f"_a,
      "Sets the function that says which module an error comes from.");
  m.def(
      "set_module_name",
      [](nb::object f) {
        delete module_name;
        module_name = new nb::object(std::move(f));
        set_module_namer(name_of_running_module);
      },
      "f"_a,
      "Sets the function that says which module a large array comes from.");
}

}  // namespace treadle::python
