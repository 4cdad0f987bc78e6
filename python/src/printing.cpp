// How arrays are printed, and graphs as text.
#include <fstream>
#include <sstream>

#include "treadle/base/error.h"
#include "treadle/graph/dot.h"
#include "treadle/graph/print.h"

#include "array.h"
#include "bindings.h"
#include "tree.h"

namespace treadle::python {

namespace {

struct PrintOptions {
  int precision = -1;
};

// `with printoptions(precision=3):`
struct PrintOptionsContext {
  int precision;
  int outer = -1;
};

void to_dot(nb::handle file, const nb::args& args, const nb::kwargs& kwargs) {
  Arrays outputs;
  for (nb::handle a : args) {
    const std::string other =
        find_leaf(a, [](nb::handle leaf) { return !is_array(leaf); });
    if (!other.empty()) {
      invalid("export_to_dot", "an output holds something that is no array.");
    }
    collect(a, &outputs);
  }
  std::vector<std::pair<array, std::string>> names;
  for (auto [key, value] : kwargs) {
    if (!is_array(value)) {
      invalid("export_to_dot",
              "'" + nb::cast<std::string>(key) + "' names no array.");
    }
    names.emplace_back(array_of(value), nb::cast<std::string>(key));
  }
  std::ostringstream text;
  export_to_dot(text, outputs, names);
  if (nb::hasattr(file, "write")) {
    file.attr("write")(text.str());
    return;
  }
  PyObject* path = PyOS_FSPath(file.ptr());
  if (!path) throw nb::python_error();
  const std::string name = nb::cast<std::string>(nb::steal(path));
  std::ofstream out(name);
  out << text.str();
  if (!out.flush()) {
    unsupported("export_to_dot", "'" + name + "' cannot be written.");
  }
}

}  // namespace

void bind_printing(nb::module_& m) {
  nb::class_<PrintOptions>(m, "PrintOptions", "How arrays are printed.")
      .def(nb::init<int>(), nb::arg("precision") = -1)
      .def_rw("precision",
              &PrintOptions::precision,
              "Digits after the point; -1: six significant ones.")
      .def("__repr__",
           [](const PrintOptions& o) {
             return "PrintOptions(precision=" + std::to_string(o.precision) +
                    ")";
           })
      .def(
          "__eq__",
          [](const PrintOptions& o, nb::handle other) {
            return nb::isinstance<PrintOptions>(other) &&
                   nb::inst_ptr<PrintOptions>(other)->precision == o.precision;
          },
          nb::arg().none())
      .def("__hash__", [](const PrintOptions& o) { return o.precision; });
  m.def("set_printoptions",
        &set_print_precision,
        nb::arg("precision") = -1,
        "Digits after the point of printed numbers; -1: six significant ones.");
  m.def(
      "get_printoptions",
      [] { return PrintOptions{print_precision()}; },
      "How arrays are printed now.");
  nb::class_<PrintOptionsContext>(
      m, "_PrintOptionsContext", "Prints otherwise in its `with` block.")
      .def("__enter__",
           [](nb::handle self) {
             auto& c = *nb::inst_ptr<PrintOptionsContext>(self);
             c.outer = print_precision();
             set_print_precision(c.precision);
             return nb::borrow(self);
           })
      .def("__exit__", [](PrintOptionsContext& c, const nb::args&) {
        set_print_precision(c.outer);
      });
  m.def(
      "printoptions",
      [](int precision) { return PrintOptionsContext{precision}; },
      nb::arg("precision") = -1,
      "A context in which arrays are printed with `precision` digits after "
      "the point.");
  m.def("export_to_dot",
        &to_dot,
        nb::arg("file"),
        nb::arg("args"),
        nb::arg("kwargs"),
        "Writes the graph that the arrays `args` will be computed from to a "
        "file, given by name or open for text, in Graphviz's DOT. Keywords "
        "name arrays in it. Nothing is evaluated.");
}

}  // namespace treadle::python
