// Products over chosen axes.
#include "treadle/ops/products.h"

#include <string>
#include <variant>
#include <vector>

#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "treadle/base/error.h"
#include "treadle/ops/hadamard.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;

}  // namespace

void bind_products(nb::module_& m) {
  auto a = nb::arg("a"), b = nb::arg("b");
  auto stream = nb::arg("stream") = nb::none();
  auto kw = nb::kw_only();
  m.def(
      "outer",
      [](const array& a, const array& b, const S& s) {
        return wrap(outer(a, b, s));
      },
      a,
      b,
      kw,
      stream,
      "Products of all pairs: a (N), b (M) -> (N, M).");
  m.def(
      "inner",
      [](const array& a, const array& b, const S& s) {
        return wrap(inner(a, b, s));
      },
      a,
      b,
      kw,
      stream,
      "Sums of products over the last axes.");
  m.def(
      "kron",
      [](const array& a, const array& b, const S& s) {
        return wrap(kron(a, b, s));
      },
      a,
      b,
      kw,
      stream,
      "Kronecker product: blocks of b, each times an element of a.");
  m.def(
      "vecdot",
      [](const array& a, const array& b, int axis, const S& s) {
        return wrap(vecdot(a, b, axis, s));
      },
      a,
      b,
      kw,
      nb::arg("axis") = -1,
      stream,
      "Sum of conj(a) * b over one axis of both.");
  m.def(
      "tensordot",
      [](const array& a,
         const array& b,
         const std::variant<int, std::vector<AxisOrAxes>>& axes,
         const S& s) {
        if (const int* n = std::get_if<int>(&axes)) {
          return wrap(tensordot(a, b, *n, s));
        }
        const auto& pair = std::get<std::vector<AxisOrAxes>>(axes);
        if (pair.size() != 2) {
          invalid("tensordot",
                  "got " + std::to_string(pair.size()) +
                      " lists of axes; expected two.");
        }
        return wrap(tensordot(a, b, pair[0].axes, pair[1].axes, s));
      },
      a,
      b,
      nb::arg("axes") = 2,
      kw,
      stream,
      "Sums of products over axes: over the last of a and the first of b (an "
      "int), or over a list of axes for each.");
  m.def(
      "hadamard_transform",
      [](const array& x, std::optional<double> scale, const S& s) {
        return wrap(hadamard_transform(x, scale, s));
      },
      a,
      nb::arg("scale") = nb::none(),
      stream,
      "The Walsh-Hadamard transform along the last axis, of length m 2^k with "
      "m one of 1, 12, 20, 28, times scale: 1 / sqrt(length) by default.");
}

}  // namespace treadle::python
