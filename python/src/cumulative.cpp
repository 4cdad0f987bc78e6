// Running sums, products, maxima, minima and log-sum-exps.
#include "treadle/ops/cumulative.h"

#include "treadle/ops/views.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using Function =
    array (*)(const array&, std::optional<int>, bool, bool, StreamOrDevice);

// As a function and as a method; `more` are arguments after `inclusive`.
template <class F, class... More>
void both(nb::module_& m,
          const char* name,
          F f,
          const char* doc,
          const More&... more) {
  nb::handle type(reinterpret_cast<PyObject*>(array_type));
  m.def(name,
        f,
        nb::arg("a"),
        nb::arg("axis") = nb::none(),
        nb::kw_only(),
        nb::arg("reverse") = false,
        nb::arg("inclusive") = true,
        more...,
        nb::arg("stream") = nb::none(),
        doc);
  type.attr(name) = nb::cpp_function(f,
                                     nb::is_method(),
                                     nb::scope(type),
                                     nb::name(name),
                                     nb::arg("axis") = nb::none(),
                                     nb::kw_only(),
                                     nb::arg("reverse") = false,
                                     nb::arg("inclusive") = true,
                                     more...,
                                     nb::arg("stream") = nb::none(),
                                     doc);
}

void bind_walk(nb::module_& m, const char* name, Function f, const char* doc) {
  both(
      m,
      name,
      [f](const array& a,
          std::optional<int> axis,
          bool reverse,
          bool inclusive,
          const StreamOrDevice& s) {
        return wrap(f(a, axis, reverse, inclusive, s));
      },
      doc);
}

void bind_cast(nb::module_& m, const char* name, Function f, const char* doc) {
  both(
      m,
      name,
      [f](const array& a,
          std::optional<int> axis,
          bool reverse,
          bool inclusive,
          std::optional<Dtype> dtype,
          const StreamOrDevice& s) {
        return wrap(
            f(dtype ? astype(a, *dtype, s) : a, axis, reverse, inclusive, s));
      },
      doc,
      nb::arg("dtype") = nb::none());
}

}  // namespace

void bind_cumulative(nb::module_& m) {
  bind_cast(m,
            "cumsum",
            &cumsum,
            "Sums of the elements up to each, along an axis or of the "
            "flattened array.");
  bind_cast(m,
            "cumprod",
            &cumprod,
            "Products of the elements up to each, along an axis or of the "
            "flattened array.");
  bind_walk(m,
            "cummax",
            &cummax,
            "The largest element up to each, along an axis or of the "
            "flattened array.");
  bind_walk(m,
            "cummin",
            &cummin,
            "The smallest element up to each, along an axis or of the "
            "flattened array.");
  bind_walk(m,
            "logcumsumexp",
            &logcumsumexp,
            "log(cumsum(exp(a))) without overflow, along an axis or of the "
            "flattened array.");
  m.attr("cumulative_sum") = m.attr("cumsum");
  m.attr("cumulative_prod") = m.attr("cumprod");
}

}  // namespace treadle::python
