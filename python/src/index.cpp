// Reading and writing at positions given by integer arrays.
#include "treadle/ops/index.h"

#include <nanobind/stl/variant.h>

#include "treadle/ops/views.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

array take_any(const array& a,
               const std::variant<int64_t, array>& indices,
               std::optional<int> axis,
               const StreamOrDevice& s) {
  const int64_t* one = std::get_if<int64_t>(&indices);
  array at = one ? array(Scalar(*one), int32) : std::get<array>(indices);
  return axis ? take(a, at, *axis, s) : take(a, at, s);
}

}  // namespace

void bind_index(nb::module_& m) {
  m.def(
      "take",
      [](const array& a,
         const std::variant<int64_t, array>& indices,
         std::optional<int> axis,
         const StreamOrDevice& s) {
        return wrap(take_any(a, indices, axis, s));
      },
      nb::arg("a"),
      nb::arg("indices"),
      nb::arg("axis") = nb::none(),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "Slices of a along an axis at integer positions, or elements of the "
      "flattened a.");
  m.def(
      "take_along_axis",
      [](const array& a,
         const array& indices,
         std::optional<int> axis,
         const StreamOrDevice& s) {
        if (axis) return wrap(take_along_axis(a, indices, *axis, s));
        return wrap(take_along_axis(
            flatten(a, 0, -1, s), flatten(indices, 0, -1, s), 0, s));
      },
      nb::arg("a"),
      nb::arg("indices"),
      nb::arg("axis").none() = -1,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "Elements of a, one for each index: along axis 0, out[i, j] = "
      "a[indices[i, j], j].");
  m.def(
      "put_along_axis",
      [](const array& a,
         const array& indices,
         const array& values,
         std::optional<int> axis,
         const StreamOrDevice& s) {
        if (axis) return wrap(put_along_axis(a, indices, values, *axis, s));
        array flat = put_along_axis(flatten(a, 0, -1, s),
                                    flatten(indices, 0, -1, s),
                                    flatten(values, 0, -1, s),
                                    0,
                                    s);
        return wrap(reshape(flat, a.shape(), s));
      },
      nb::arg("a"),
      nb::arg("indices"),
      nb::arg("values"),
      nb::arg("axis") = nb::none(),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "a with values written where take_along_axis reads.");
}

}  // namespace treadle::python
