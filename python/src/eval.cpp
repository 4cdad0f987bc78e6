// Starting and awaiting computation.
#include "treadle/runtime/eval.h"

#include <nanobind/stl/string.h>

#include "treadle/runtime/deterministic.h"
#include "treadle/runtime/explain.h"

#include "bindings.h"
#include "convert.h"
#include "tree.h"

namespace treadle::python {

void bind_eval(nb::module_& m) {
  m.def(
      "eval",
      [](nb::args args) {
        Arrays arrays;
        collect(args, &arrays);
        unlocked([&] { eval(arrays); });
      },
      nb::arg("args"),
      "Computes all arrays in the arguments, which may be trees.");
  m.def(
      "async_eval",
      [](nb::args args) {
        Arrays arrays;
        collect(args, &arrays);
        unlocked([&] { async_eval(arrays); });
      },
      nb::arg("args"),
      "Starts computing all arrays in the arguments; a later use of a value "
      "waits for it.");
  m.def(
      "plan_text",
      [](nb::args args) {
        Arrays arrays;
        collect(args, &arrays);
        return plan_text(arrays);
      },
      nb::arg("args"),
      "What computing all arrays in the arguments, which may be trees, would "
      "run: one kernel a line, with what it reads and writes and why "
      "neighbours were not fused. Nothing is computed; empty when all is. "
      "treadle.nn.plan adds the names of modules.");
  m.def("set_deterministic",
        set_deterministic,
        nb::arg("on"),
        "True: results do not depend on the number of threads, at the price of "
        "slower weight gradients of convolutions.");
  m.def("deterministic",
        deterministic,
        "Whether results must not depend on the number of threads.");

  // Threads and Python's memory must be done before the interpreter is.
  nb::module_::import_("atexit").attr("register")(nb::cpp_function([] {
    unlocked([] { synchronize(); });
    close_returns();
  }));
}

}  // namespace treadle::python
