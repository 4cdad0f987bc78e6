// Softmax.
#include "treadle/ops/softmax.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

void bind_softmax(nb::module_& m) {
  m.def(
      "softmax",
      [](const array& a,
         const AxisArg& axis,
         bool precise,
         const StreamOrDevice& s) {
        return wrap(softmax(a, axis, precise, s));
      },
      nb::arg("a"),
      nb::arg("axis") = nb::none(),
      nb::kw_only(),
      nb::arg("precise") = false,
      nb::arg("stream") = nb::none(),
      "exp(a) / sum(exp(a)) over axes, without overflow. precise: half types "
      "are "
      "computed in float32.");
}

}  // namespace treadle::python
