// treadle._core._nn: losses.
#include <string>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "treadle/nn/functional/losses.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

using namespace nb::literals;

namespace {

array or_null(const array* a) { return a ? *a : array(); }

using Pair = array (*)(const array&, const array&, nn::Reduction);
using PairWithNumber = array (*)(const array&,
                                 const array&,
                                 double,
                                 nn::Reduction);
using PairAlong = array (*)(const array&, const array&, int, nn::Reduction);

// A loss of two arrays, whose names in Python are a and b.
template <Pair f>
void def(nb::module_& m, const char* name, const char* a, const char* b) {
  m.def(
      name,
      [](const array& x, const array& y, const std::string& reduction) {
        return wrap(f(x, y, nn::Reduction(reduction)));
      },
      nb::arg(a),
      nb::arg(b),
      "reduction"_a = "none");
}
template <PairWithNumber f>
void def(nb::module_& m,
         const char* name,
         const char* a,
         const char* b,
         const char* number,
         double value) {
  m.def(
      name,
      [](const array& x,
         const array& y,
         double v,
         const std::string& reduction) {
        return wrap(f(x, y, v, nn::Reduction(reduction)));
      },
      nb::arg(a),
      nb::arg(b),
      nb::arg(number) = value,
      "reduction"_a = "none");
}
template <PairAlong f>
void def(nb::module_& m, const char* name, const char* a, const char* b) {
  m.def(
      name,
      [](const array& x,
         const array& y,
         int axis,
         const std::string& reduction) {
        return wrap(f(x, y, axis, nn::Reduction(reduction)));
      },
      nb::arg(a),
      nb::arg(b),
      "axis"_a = -1,
      "reduction"_a = "none");
}

}  // namespace

void bind_nn_losses(nb::module_& m) {
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
    targets (array): Class indices in [-C, C), of the shape of logits without ``axis``, where negative ones count from
        the end and one outside has an infinite loss; or a probability for each class, of the shape of logits: the
        second term is then :math:`\sum_c t_c x_c`.
    weights (array, optional): A factor for each loss, of its shape; or one for each class, ``(C,)``.
    axis (int): The axis of the classes. Default: ``-1``.
    label_smoothing (float): The share of the target that all classes get evenly, in [0, 1). Default: ``0``.
    reduction (str): ``"none"``, ``"mean"`` or ``"sum"``. Default: ``"none"``.
    class_weights (array, optional): A factor for each class, ``(C,)``; for class indices only.
    ignore_index (int, optional): Targets of this class cost nothing and do not count in a mean.)");
  m.def(
      "binary_cross_entropy",
      [](const array& inputs,
         const array& targets,
         const array* weights,
         bool with_logits,
         const std::string& reduction) {
        return wrap(
            nn::binary_cross_entropy(inputs,
                                     targets,
                                     {.weights = or_null(weights),
                                      .with_logits = with_logits,
                                      .reduction = nn::Reduction(reduction)}));
      },
      "inputs"_a,
      "targets"_a,
      "weights"_a.none() = nb::none(),
      "with_logits"_a = true,
      "reduction"_a = "none");
  def<nn::nll_loss>(m, "nll_loss", "inputs", "targets");
  def<nn::kl_div_loss>(m, "kl_div_loss", "inputs", "targets");
  def<nn::l1_loss>(m, "l1_loss", "predictions", "targets");
  def<nn::mse_loss>(m, "mse_loss", "predictions", "targets");
  def<nn::hinge_loss>(m, "hinge_loss", "inputs", "targets");
  def<nn::log_cosh_loss>(m, "log_cosh_loss", "inputs", "targets");
  def<nn::smooth_l1_loss>(
      m, "smooth_l1_loss", "predictions", "targets", "beta", 1);
  def<nn::huber_loss>(m, "huber_loss", "inputs", "targets", "delta", 1);
  m.def(
      "gaussian_nll_loss",
      [](const array& inputs,
         const array& targets,
         const array& vars,
         bool full,
         double eps,
         const std::string& reduction) {
        return wrap(nn::gaussian_nll_loss(
            inputs, targets, vars, full, eps, nn::Reduction(reduction)));
      },
      "inputs"_a,
      "targets"_a,
      "vars"_a,
      "full"_a = false,
      "eps"_a = 1e-6,
      "reduction"_a = "none");
  m.def(
      "triplet_loss",
      [](const array& anchors,
         const array& positives,
         const array& negatives,
         int axis,
         double p,
         double margin,
         double eps,
         const std::string& reduction) {
        return wrap(nn::triplet_loss(anchors,
                                     positives,
                                     negatives,
                                     axis,
                                     p,
                                     margin,
                                     eps,
                                     nn::Reduction(reduction)));
      },
      "anchors"_a,
      "positives"_a,
      "negatives"_a,
      "axis"_a = -1,
      "p"_a = 2.0,
      "margin"_a = 1.0,
      "eps"_a = 1e-6,
      "reduction"_a = "none");
  m.def(
      "cosine_similarity_loss",
      [](const array& x1,
         const array& x2,
         int axis,
         double eps,
         const std::string& reduction) {
        return wrap(nn::cosine_similarity_loss(
            x1, x2, axis, eps, nn::Reduction(reduction)));
      },
      "x1"_a,
      "x2"_a,
      "axis"_a = 1,
      "eps"_a = 1e-8,
      "reduction"_a = "none");
  m.def(
      "margin_ranking_loss",
      [](const array& inputs1,
         const array& inputs2,
         const array& targets,
         double margin,
         const std::string& reduction) {
        return wrap(nn::margin_ranking_loss(
            inputs1, inputs2, targets, margin, nn::Reduction(reduction)));
      },
      "inputs1"_a,
      "inputs2"_a,
      "targets"_a,
      "margin"_a = 0.0,
      "reduction"_a = "none");
}

}  // namespace treadle::python
