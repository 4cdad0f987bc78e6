// compile() of Python functions: trees, constants and state in live containers
// become the arrays, the signature and the notes of a treadle::Compiled.
#include "treadle/transforms/compile.h"

#include <cstring>
#include <memory>
#include <string>

#include <nanobind/stl/string.h>

#include "treadle/base/error.h"

#include "bindings.h"
#include "transformed.h"
#include "tree.h"

namespace treadle::python {

namespace {

// Collects the arrays of a tree and describes all else: calls with equal text
// share a trace.
class Scan {
 public:
  Scan(Arrays* arrays, std::string* text) : arrays_(arrays), text_(text) {}

  // Constants are part of the text in arguments, where they are the caller's
  // choice; in state they are not, as in MLX.
  void arguments(nb::handle h) { visit(h, true); }
  void state(nb::handle h) { visit(h, false); }

 private:
  template <class T>
  void add(char tag, const T& value) {
    text_->push_back(tag);
    text_->append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void add_text(char tag, PyObject* s) {
    Py_ssize_t n = 0;
    const char* chars = PyUnicode_AsUTF8AndSize(s, &n);
    if (!chars) throw nb::python_error();
    add(tag, n);
    text_->append(chars, size_t(n));
  }

  void visit(nb::handle h, bool constants) {
    PyObject* o = h.ptr();
    if (is_array(o)) {
      arrays_->push_back(array_of(o));
      text_->push_back('a');
    } else if (PyDict_Check(o)) {
      PyObject *key, *value;
      Py_ssize_t at = 0;
      add('d', PyDict_GET_SIZE(o));
      while (PyDict_Next(o, &at, &key, &value)) {
        if (PyUnicode_Check(key)) {
          add_text('k', key);
        } else {
          constant(key);
        }
        visit(value, constants);
      }
    } else if (PyList_Check(o) || PyTuple_Check(o)) {
      add(PyList_Check(o) ? 'l' : 't', PySequence_Fast_GET_SIZE(o));
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i) {
        visit(PySequence_Fast_GET_ITEM(o, i), constants);
      }
    } else if (constants) {
      constant(o);
    } else {
      text_->push_back('-');
    }
  }

  void constant(PyObject* o) {
    if (o == Py_None) {
      text_->push_back('N');
    } else if (PyBool_Check(o)) {
      text_->push_back(o == Py_True ? 'T' : 'F');
    } else if (PyLong_Check(o)) {
      nb::object text = nb::steal(PyObject_Str(o));
      add_text('i', text.ptr());
    } else if (PyFloat_Check(o)) {
      add('f', PyFloat_AS_DOUBLE(o));
    } else if (PyComplex_Check(o)) {
      add('c', PyComplex_AsCComplex(o));
    } else if (PyUnicode_Check(o)) {
      add_text('s', o);
    } else if (nb::isinstance(o, nb::handle(dtype_object(float32)).type())) {
      add('y', nb::cast<Dtype>(nb::handle(o)));
    } else {
      invalid("compile",
              std::string("an argument holds a ") + Py_TYPE(o)->tp_name +
                  "; expected trees of arrays, numbers, bools, strings, dtypes "
                  "and None.");
    }
  }

  Arrays* arrays_;
  std::string* text_;
};

// What a call needs to know of the trace it uses.
struct Note {
  Form result;
  Form state;  // of the output containers
};

// Arguments as one tree.
nb::tuple all_arguments(const nb::args& args, const nb::kwargs& kwargs) {
  return nb::make_tuple(args, kwargs);
}

nb::object run(const Compiled& compiled,
               const Transformed& t,
               const nb::args& args,
               const nb::kwargs& kwargs) {
  nb::handle inputs = PyTuple_GET_ITEM(t.state.ptr(), 0);
  nb::handle outputs = PyTuple_GET_ITEM(t.state.ptr(), 1);
  Arrays in;
  std::string signature;
  Scan scan(&in, &signature);
  scan.arguments(args);
  scan.arguments(kwargs);
  size_t num_args = in.size();
  scan.state(inputs);

  std::shared_ptr<void> kept;
  auto traced = [&](const Arrays& x) {
    nb::gil_scoped_acquire gil;
    Arrays originals;
    Form form = flatten(all_arguments(args, kwargs), &originals);
    LiveState read(inputs), written(outputs);
    struct Restore {
      LiveState &a, &b;
      ~Restore() {
        a.restore();
        b.restore();
      }
    } restore{read, written};
    size_t next = num_args;
    read.put(x, &next);
    nb::tuple call = nb::borrow<nb::tuple>(build(form, x));
    nb::object returned =
        t.fun(*nb::borrow<nb::tuple>(call[0]), **nb::borrow<nb::dict>(call[1]));
    auto note = std::make_shared<Note>();
    Arrays out;
    note->result = flatten(returned, &out);
    note->state = flatten(outputs, &out);
    kept = note;
    return out;
  };
  // Without the lock: another thread may be tracing this function and need it.
  Arrays out =
      unlocked([&] { return compiled.call(in, signature, traced, &kept); });
  const Note& note = *static_cast<const Note*>(kept.get());
  size_t next = 0;
  nb::object result = build(note.result, out, &next);
  assign(outputs, note.state, out, &next);
  return result;
}

nb::callable compile_function(nb::object fun,
                              nb::object inputs,
                              nb::object outputs,
                              bool shapeless) {
  check_callable(fun, "compile");
  CompileOptions options;
  options.shapeless = shapeless;
  if (nb::hasattr(fun, "__name__")) {
    options.name = nb::str(fun.attr("__name__")).c_str();
  }
  auto never = [](const Arrays&) -> Arrays {
    throw std::logic_error("compile: no function.");
  };
  return make_transformed(
      {std::move(fun),
       nb::make_tuple(inputs, outputs),
       [compiled = Compiled(never, options)](const Transformed& t,
                                             const nb::args& args,
                                             const nb::kwargs& kwargs) {
         return run(compiled, t, args, kwargs);
       }});
}

}  // namespace

void bind_compile(nb::module_& m) {
  m.def("compile",
        &compile_function,
        nb::arg("fun"),
        nb::arg("inputs") = nb::none(),
        nb::arg("outputs") = nb::none(),
        nb::arg("shapeless") = false,
        "`fun`, traced once for each form, shapes and dtypes of its arguments "
        "and for each "
        "value of their numbers, strings, bools and None; later calls run the "
        "kept plan. "
        "inputs and outputs: containers of arrays that the function reads and "
        "replaces. "
        "shapeless: sizes will vary; each is traced once.");
  m.def("disable_compile",
        &disable_compile,
        "Compiled functions are called as they are.");
  m.def("enable_compile", &enable_compile, "Undoes disable_compile.");
}

}  // namespace treadle::python
