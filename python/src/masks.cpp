// Results whose size depends on values: nonzero, argwhere, unique.
#include "treadle/ops/masks.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

namespace {

using Size = std::optional<int64_t>;

nb::tuple wrapped(const Arrays& arrays) {
  nb::list out;
  for (const array& a : arrays) out.append(wrap(a));
  return nb::tuple(out);
}

nb::object unique_of(const array& a,
                     const Size& size,
                     bool return_index,
                     bool return_inverse,
                     bool return_counts,
                     const std::optional<Operand>& fill_value,
                     const StreamOrDevice& s) {
  std::optional<Term> fill;
  if (fill_value) fill = Term(*fill_value);
  Unique u = unique(a, size, fill, s);
  if (!return_index && !return_inverse && !return_counts) {
    return wrap(std::move(u.values));
  }
  Arrays out{u.values};
  if (return_index) out.push_back(u.index);
  if (return_inverse) out.push_back(u.inverse);
  if (return_counts) out.push_back(u.counts);
  return wrapped(out);
}

}  // namespace

void bind_masks(nb::module_& m) {
  auto places = [&m](const char* name, auto f, const char* doc) {
    m.def(name,
          f,
          nb::arg("a"),
          nb::kw_only(),
          nb::arg("size") = nb::none(),
          nb::arg("fill_value") = 0,
          nb::arg("stream") = nb::none(),
          doc);
  };
  places(
      "nonzero",
      [](const array& a, const Size& size, int64_t fill, StreamOrDevice s) {
        return wrapped(nonzero(a, size, fill, s));
      },
      "The places of the elements other than 0, an integer array for each "
      "axis. The result's size depends on values, which are read now; with "
      "`size` that many places are given, filled up with fill_value, and none "
      "is read.");
  places(
      "flatnonzero",
      [](const array& a, const Size& size, int64_t fill, StreamOrDevice s) {
        return wrap(flatnonzero(a, size, fill, s));
      },
      "The places of the elements other than 0 in the flattened a; as "
      "nonzero.");
  places(
      "argwhere",
      [](const array& a, const Size& size, int64_t fill, StreamOrDevice s) {
        return wrap(argwhere(a, size, fill, s));
      },
      "The places of the elements other than 0 as rows (count, ndim); as "
      "nonzero.");
  m.def("unique",
        &unique_of,
        nb::arg("a"),
        nb::arg("size") = nb::none(),
        nb::arg("return_index") = false,
        nb::arg("return_inverse") = false,
        nb::arg("return_counts") = false,
        nb::arg("fill_value") = nb::none(),
        nb::kw_only(),
        nb::arg("stream") = nb::none(),
        "The different elements of the flattened a in order. With `size` the "
        "smallest that many, filled up with fill_value (or the smallest "
        "element), and no value is read; without, their number is read now. "
        "On request, in this order: the first place of each in a; a's elements "
        "as places in the result, in a's shape; how often each is met.");
}

}  // namespace treadle::python
