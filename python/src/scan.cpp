// scan of Python functions over trees of arrays.
#include "treadle/ops/scan.h"

#include <string>

#include "treadle/base/error.h"

#include "bindings.h"
#include "transformed.h"
#include "tree.h"

namespace treadle::python {

namespace {

// The form of a tree in which numbers are arrays too.
Form flatten_numbers(nb::handle tree, Arrays* arrays) {
  Arrays found;
  Form form = flatten(tree, &found);
  size_t next = 0;
  auto visit = [&](auto&& self, Form& f) -> void {
    Scalar number = 0;
    if (f.kind == Form::Kind::array) {
      arrays->push_back(found[next++]);
    } else if (f.kind == Form::Kind::constant &&
               load_number(f.value.ptr(), &number)) {
      f.kind = Form::Kind::array;
      f.value.reset();
      arrays->emplace_back(number, number.default_dtype());
    }
    for (Form& c : f.children) self(self, c);
  };
  visit(visit, form);
  return form;
}

[[noreturn]] void other_form(const std::string& at, const std::string& got) {
  invalid("scan",
          "the step returned " + got + " at '" + at +
              "' of the carry; expected what it was given there.");
}

// The arrays of a carry in the order of the first one's form, whatever the
// order of its keys.
void collect_as(const Form& form,
                nb::handle h,
                const std::string& at,
                Arrays* arrays) {
  PyObject* o = h.ptr();
  const std::string got = std::string("a ") + Py_TYPE(o)->tp_name;
  auto below = [&](const std::string& name) {
    return at == "." ? name : at + "." + name;
  };
  switch (form.kind) {
    case Form::Kind::array: {
      Scalar number = 0;
      if (is_array(o)) {
        arrays->push_back(array_of(o));
      } else if (load_number(o, &number)) {
        arrays->emplace_back(number, number.default_dtype());
      } else {
        other_form(at, got);
      }
      return;
    }
    case Form::Kind::constant:
      if (o != form.value.ptr() && !form.value.equal(h)) other_form(at, got);
      return;
    case Form::Kind::dict:
      if (!PyDict_Check(o) ||
          PyDict_GET_SIZE(o) != Py_ssize_t(form.children.size())) {
        other_form(at, got);
      }
      for (size_t i = 0; i < form.children.size(); ++i) {
        PyObject* child = PyDict_GetItemWithError(o, form.keys[i].ptr());
        const std::string key = nb::str(form.keys[i]).c_str();
        if (!child) other_form(below(key), "nothing");
        collect_as(form.children[i], child, below(key), arrays);
      }
      return;
    case Form::Kind::list:
    case Form::Kind::tuple:
      if (!(form.kind == Form::Kind::list ? PyList_Check(o)
                                          : PyTuple_Check(o)) ||
          PySequence_Fast_GET_SIZE(o) != Py_ssize_t(form.children.size())) {
        other_form(at, got);
      }
      for (size_t i = 0; i < form.children.size(); ++i) {
        collect_as(form.children[i],
                   PySequence_Fast_GET_ITEM(o, Py_ssize_t(i)),
                   below(std::to_string(i)),
                   arrays);
      }
  }
}

nb::tuple scan_trees(nb::handle f,
                     nb::handle init,
                     nb::handle xs,
                     std::optional<int64_t> length,
                     bool reverse) {
  check_callable(f, "scan");
  Arrays first, elements;
  const Form carry_form = flatten_numbers(init, &first);
  const Form xs_form = flatten(xs, &elements);
  Form ys_form;
  auto step = [&](const Arrays& carry, const Arrays& x) -> ScanStep {
    nb::object returned = f(build(carry_form, carry), build(xs_form, x));
    if (!PyTuple_Check(returned.ptr()) ||
        PyTuple_GET_SIZE(returned.ptr()) != 2) {
      invalid("scan",
              std::string("the step returned a ") +
                  Py_TYPE(returned.ptr())->tp_name +
                  "; expected a tuple (carry, y).");
    }
    ScanStep out;
    collect_as(carry_form,
               nb::handle(PyTuple_GET_ITEM(returned.ptr(), 0)),
               ".",
               &out.carry);
    ys_form = flatten_numbers(nb::handle(PyTuple_GET_ITEM(returned.ptr(), 1)),
                              &out.y);
    return out;
  };
  ScanOptions options;
  options.length = length;
  options.reverse = reverse;
  auto [carry, ys] = scan(step, first, elements, options);
  return nb::make_tuple(build(carry_form, carry), build(ys_form, ys));
}

}  // namespace

void bind_scan(nb::module_& m) {
  m.def("scan",
        &scan_trees,
        nb::arg("f"),
        nb::arg("init").none(),
        nb::arg("xs") = nb::none(),
        nb::arg("length") = nb::none(),
        nb::arg("reverse") = false,
        "A loop as one operation: carry = init, and for each step t: "
        "carry, ys[t] = f(carry, xs[t]). Returns (carry, ys). init, xs and y "
        "are trees of arrays (numbers become arrays); xs have the steps along "
        "their first axis. f is called once, on arrays without values, and "
        "keeps the carry's form, shapes and dtypes. length: the number of "
        "steps, needed without xs. reverse: from the last step to the first. "
        "Gradients go back through the loop in one loop.");
}

}  // namespace treadle::python
