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

// The function and the method; args end in kw_only() and what follows it.
template <class F, class... Extra>
void both(nb::module_& m,
          const char* name,
          F f,
          const char* doc,
          const Extra&... args) {
  nb::handle type(reinterpret_cast<PyObject*>(array_type));
  m.def(name, f, nb::arg("a"), args..., nb::arg("stream") = nb::none(), doc);
  type.attr(name) = nb::cpp_function(f,
                                     nb::is_method(),
                                     nb::scope(type),
                                     nb::name(name),
                                     args...,
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
      nb::arg("keepdims") = false,
      nb::kw_only());
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
      nb::arg("keepdims") = false,
      nb::kw_only());
}

using Spread =
    array (*)(const array&, const AxisArg&, bool, int, StreamOrDevice);

void bind_spread(nb::module_& m, const char* name, Spread f, const char* doc) {
  both(
      m,
      name,
      [f](const array& a,
          const AxisArg& axis,
          bool keepdims,
          int ddof,
          std::optional<int> correction,
          const StreamOrDevice& s) {
        return wrap(f(a, axis, keepdims, correction.value_or(ddof), s));
      },
      doc,
      nb::arg("axis") = nb::none(),
      nb::arg("keepdims") = false,
      nb::arg("ddof") = 0,
      nb::kw_only(),
      nb::arg("correction") = nb::none());
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
  bind_reduction(
      m, "all", &all, "True when all elements over axes are other than 0.");
  bind_reduction(
      m, "any", &any, "True when an element over axes is other than 0.");
  m.def(
      "count_nonzero",
      [](const array& a,
         const AxisArg& axis,
         bool keepdims,
         const StreamOrDevice& s) {
        return wrap(count_nonzero(a, axis, keepdims, s));
      },
      nb::arg("a"),
      nb::kw_only(),
      nb::arg("axis") = nb::none(),
      nb::arg("keepdims") = false,
      nb::arg("stream") = nb::none(),
      "How many elements over axes are other than 0.");
  m.def(
      "minmax",
      [](const array& a,
         const AxisArg& axis,
         bool keepdims,
         const StreamOrDevice& s) {
        return nb::make_tuple(wrap(min(a, axis, keepdims, s)),
                              wrap(max(a, axis, keepdims, s)));
      },
      nb::arg("a"),
      nb::arg("axis") = nb::none(),
      nb::arg("keepdims") = false,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "Smallest and largest element over axes.");
  bind_reduction(m,
                 "logsumexp",
                 &logsumexp,
                 "log(sum(exp(a))) over axes, without overflow.");
  bind_spread(m,
              "var",
              &var,
              "Mean of squared deviations from the mean over axes, divided by "
              "(count - ddof); correction is the array API's name of ddof.");
  bind_spread(m, "std", &std, "The square root of var.");
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
