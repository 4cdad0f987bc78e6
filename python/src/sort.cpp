// Ordering elements along an axis.
#include "treadle/ops/sort.h"

#include <string>

#include <nanobind/stl/string.h>

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;
using Axis = std::optional<int>;

void bind_order(nb::module_& m,
                const char* name,
                array (*f)(const array&, Axis, S),
                const char* doc) {
  m.def(
      name,
      [f](const array& a, Axis axis, const S& s) {
        return wrap(f(a, axis, s));
      },
      nb::arg("a"),
      nb::arg("axis").none() = -1,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      doc);
}

// With a number before the axis: kth or k.
void bind_some(nb::module_& m,
               const char* name,
               const char* number,
               array (*f)(const array&, int, Axis, S),
               const char* doc) {
  m.def(
      name,
      [f](const array& a, int k, Axis axis, const S& s) {
        return wrap(f(a, k, axis, s));
      },
      nb::arg("a"),
      nb::arg(number),
      nb::arg("axis").none() = -1,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      doc);
}

}  // namespace

void bind_sort(nb::module_& m) {
  bind_order(m,
             "sort",
             &sort,
             "The elements in ascending order along an axis (None: flattened); "
             "stable, NaN last.");
  bind_order(m,
             "argsort",
             &argsort,
             "The positions, uint32, of the elements in ascending order; "
             "stable, NaN last.");
  bind_some(m,
            "partition",
            "kth",
            &partition,
            "Element kth where it is in order, none larger before it, none "
            "smaller behind.");
  bind_some(m,
            "argpartition",
            "kth",
            &argpartition,
            "The positions, uint32, that partition the array at kth.");
  bind_some(m, "topk", "k", &topk, "The k largest elements along an axis.");
  m.def(
      "median",
      [](const array& a, const AxisArg& axis, bool keepdims, const S& s) {
        return wrap(median(a, axis, keepdims, s));
      },
      nb::arg("a"),
      nb::arg("axis") = nb::none(),
      nb::arg("keepdims") = false,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "The middle of the elements over axes in order, or the mean of the two "
      "in the middle.");
  m.def(
      "searchsorted",
      [](const array& sequence,
         const array& values,
         const std::string& side,
         const S& s) { return wrap(searchsorted(sequence, values, side, s)); },
      nb::arg("sorted_sequence"),
      nb::arg("values"),
      nb::arg("side") = "left",
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "Where to insert values, uint32, so that a sorted vector stays sorted: "
      "before elements equal to them ('left') or behind ('right').");
}

}  // namespace treadle::python
