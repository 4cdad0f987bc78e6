// Reductions, and the positions of extremes.
#include "treadle/ops/reduce.h"

#include "treadle/ops/arg_reduce.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using Reduction = array (*)(const array&, const AxisArg&, bool, StreamOrDevice);
using ArgReduction = array (*)(const array&,
                               std::optional<int>,
                               bool,
                               StreamOrDevice);

template <class F, class... Extra>
void both(nb::module_& m,
          const char* name,
          F f,
          const char* doc,
          const Extra&... args) {
  nb::handle type(reinterpret_cast<PyObject*>(array_type));
  m.def(name,
        f,
        nb::arg("a"),
        args...,
        nb::kw_only(),
        nb::arg("stream") = nb::none(),
        doc);
  type.attr(name) = nb::cpp_function(f,
                                     nb::is_method(),
                                     nb::scope(type),
                                     nb::name(name),
                                     args...,
                                     nb::kw_only(),
                                     nb::arg("stream") = nb::none(),
                                     doc);
}

void bind_reduction(nb::module_& m,
                    const char* name,
                    Reduction f,
                    const char* doc) {
  both(
      m,
      name,
      [f](const array& a,
          const AxisArg& axis,
          bool keepdims,
          const StreamOrDevice& s) { return wrap(f(a, axis, keepdims, s)); },
      doc,
      nb::arg("axis") = nb::none(),
      nb::arg("keepdims") = false);
}

void bind_position(nb::module_& m,
                   const char* name,
                   ArgReduction f,
                   const char* doc) {
  both(
      m,
      name,
      [f](const array& a,
          std::optional<int> axis,
          bool keepdims,
          const StreamOrDevice& s) { return wrap(f(a, axis, keepdims, s)); },
      doc,
      nb::arg("axis") = nb::none(),
      nb::arg("keepdims") = false);
}

}  // namespace

void bind_reduce(nb::module_& m) {
  bind_reduction(
      m, "sum", &sum, "Sum over axes; over all of them when none is given.");
  bind_reduction(m, "prod", &prod, "Product over axes.");
  bind_reduction(
      m, "max", &max, "Largest element over axes; NaN if there is one.");
  bind_reduction(
      m, "min", &min, "Smallest element over axes; NaN if there is one.");
  bind_reduction(
      m, "mean", &mean, "Arithmetic mean over axes; integers become float32.");
  bind_reduction(m,
                 "logsumexp",
                 &logsumexp,
                 "log(sum(exp(a))) over axes, without overflow.");
  both(
      m,
      "var",
      [](const array& a,
         const AxisArg& axis,
         bool keepdims,
         int ddof,
         const StreamOrDevice& s) {
        return wrap(var(a, axis, keepdims, ddof, s));
      },
      "Mean of squared deviations from the mean over axes, divided by (count - "
      "ddof).",
      nb::arg("axis") = nb::none(),
      nb::arg("keepdims") = false,
      nb::arg("ddof") = 0);
  bind_position(m,
                "argmax",
                &argmax,
                "Position of the largest element along an axis, or in the "
                "flattened array.");
  bind_position(m,
                "argmin",
                &argmin,
                "Position of the smallest element along an axis, or in the "
                "flattened array.");
}

}  // namespace treadle::python
