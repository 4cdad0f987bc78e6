// Matrix products.
#include "treadle/ops/matmul.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

void bind_matmul(nb::module_& m) {
  m.def(
      "matmul",
      [](const array& a, const array& b, const StreamOrDevice& s) {
        return wrap(matmul(a, b, s));
      },
      nb::arg("a"),
      nb::arg("b"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "Matrix product a @ b by NumPy's rules: leading axes broadcast, a vector "
      "is a row "
      "on the left and a column on the right.");
  m.def(
      "addmm",
      [](const array& c,
         const array& a,
         const array& b,
         float alpha,
         float beta,
         const StreamOrDevice& s) {
        return wrap(addmm(c, a, b, alpha, beta, s));
      },
      nb::arg("c"),
      nb::arg("a"),
      nb::arg("b"),
      nb::arg("alpha") = 1.0f,
      nb::arg("beta") = 1.0f,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "alpha * (a @ b) + beta * c.");
}

}  // namespace treadle::python
