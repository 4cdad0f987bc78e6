// Functions in files: what treadle/_functions.py shows as exporter and
// import_function.
#include <memory>
#include <string>

#include <nanobind/stl/string.h>

#include "treadle/base/error.h"
#include "treadle/io/function.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

namespace {

struct Arguments {
  Arrays args;
  NamedArrays kwargs;
};

[[noreturn]] void wrong_arguments(const char* op, nb::handle got) {
  invalid(op,
          std::string("an argument is a ") + Py_TYPE(got.ptr())->tp_name +
              "; expected arrays, or one tuple or list and one dict of them.");
}

void add_all(const char* op, nb::handle sequence, Arrays* to) {
  for (nb::handle x : nb::borrow<nb::sequence>(sequence)) {
    if (!is_array(x)) wrong_arguments(op, x);
    to->push_back(array_of(x));
  }
}

void add_all(const char* op, const nb::dict& named, NamedArrays* to) {
  for (auto [key, x] : named) {
    if (!is_array(x) || !PyUnicode_Check(key.ptr())) wrong_arguments(op, x);
    to->emplace(nb::cast<std::string>(key), array_of(x));
  }
}

// Arrays by position and name; or a tuple or list, a dict, or both.
Arguments arguments_of(const char* op,
                       const nb::tuple& args,
                       const nb::dict& kwargs) {
  Arguments a;
  const size_t n = args.size();
  auto is_sequence = [](nb::handle h) {
    return PyTuple_Check(h.ptr()) || PyList_Check(h.ptr());
  };
  const bool first = n >= 1 && is_sequence(args[0]);
  const bool last = n >= 1 && PyDict_Check(args[n - 1].ptr());
  if ((first || last) && n == size_t(first) + size_t(last) &&
      kwargs.size() == 0) {
    if (first) add_all(op, args[0], &a.args);
    if (last) add_all(op, nb::borrow<nb::dict>(args[n - 1]), &a.kwargs);
  } else {
    add_all(op, args, &a.args);
    add_all(op, kwargs, &a.kwargs);
  }
  return a;
}

// Calls a Python function that a handle refers to while it is called.
NamedFn calling(std::shared_ptr<nb::handle> fun) {
  return [fun](const Arrays& args, const NamedArrays& kwargs) {
    nb::gil_scoped_acquire gil;
    nb::list positional;
    for (const array& x : args) positional.append(wrap(x));
    nb::dict named;
    for (const auto& [name, x] : kwargs) named[name.c_str()] = wrap(x);
    nb::object returned = (*fun)(*positional, **named);
    Arrays out;
    if (is_array(returned)) {
      out.push_back(array_of(returned));
    } else if (!nb::try_cast(returned, out)) {
      invalid("export_function",
              std::string("the function returned a ") +
                  Py_TYPE(returned.ptr())->tp_name +
                  "; expected an array, or a tuple or list of arrays.");
    }
    return out;
  };
}

struct Exporter {
  std::shared_ptr<nb::handle> fun = std::make_shared<nb::handle>();
  FunctionExporter exporter;

  Exporter(std::string path, bool shapeless, std::string metadata)
      : exporter(std::move(path),
                 calling(fun),
                 ExportOptions{shapeless, std::move(metadata)}) {}
};

nb::tuple as_tuple(const Arrays& arrays) {
  nb::list out;
  for (const array& x : arrays) out.append(wrap(x));
  return nb::tuple(out);
}

nb::list values(const std::vector<ExportListing::Value>& all) {
  nb::list out;
  for (const auto& v : all) {
    out.append(nb::make_tuple(
        v.name, to_tuple(v.spec.shape), dtype_object(v.spec.dtype)));
  }
  return out;
}

nb::dict event(const char* type, const char* key, nb::object value) {
  nb::dict d;
  d["type"] = type;
  d[key] = value;
  return d;
}

nb::list listing(nb::handle fun,
                 const nb::tuple& args,
                 const nb::dict& kwargs) {
  const Arguments a = arguments_of("export_function", args, kwargs);
  const ExportListing l = list_function(
      calling(std::make_shared<nb::handle>(fun)), a.args, a.kwargs);
  nb::list out, keywords, constants;
  for (const auto& [name, value] : l.keywords) {
    keywords.append(nb::make_tuple(name, value));
  }
  for (const auto& [name, x] : l.constants) {
    constants.append(nb::make_tuple(name, wrap(x)));
  }
  out.append(event("inputs", "inputs", values(l.inputs)));
  out.append(event("keyword_inputs", "keywords", keywords));
  out.append(event("outputs", "outputs", values(l.outputs)));
  out.append(event("constants", "constants", constants));
  for (const auto& o : l.operations) {
    nb::dict d = event("primitive", "name", nb::cast(o.name));
    d["inputs"] = values(o.inputs);
    d["outputs"] = values(o.outputs);
    nb::list texts;
    for (const std::string& t : o.arguments) texts.append(nb::cast(t));
    d["arguments"] = texts;
    out.append(d);
  }
  return out;
}

}  // namespace

void bind_export(nb::module_& m) {
  nb::class_<Exporter>(m, "_Exporter")
      .def(nb::init<std::string, bool, std::string>(),
           nb::arg("path"),
           nb::arg("shapeless"),
           nb::arg("metadata"))
      .def(
          "add",
          [](Exporter& e,
             nb::handle fun,
             const nb::tuple& args,
             const nb::dict& kwargs) {
            const Arguments a = arguments_of("export_function", args, kwargs);
            *e.fun = fun;
            unlocked([&] { e.exporter(a.args, a.kwargs); });
          },
          nb::arg("fun"),
          nb::arg("args"),
          nb::arg("kwargs"))
      .def("close", [](Exporter& e) { unlocked([&] { e.exporter.close(); }); });
  nb::class_<ImportedFunction>(
      m, "_ImportedFunction", "A function that was read from a file.")
      .def(
          "__call__",
          [](const ImportedFunction& f,
             const nb::args& args,
             const nb::kwargs& kwargs) {
            const Arguments a = arguments_of(
                "import_function", args, nb::borrow<nb::dict>(kwargs));
            const Arrays out = unlocked([&] { return f(a.args, a.kwargs); });
            return as_tuple(out);
          },
          nb::arg("args"),
          nb::arg("kwargs"))
      .def_prop_ro("_metadata", &ImportedFunction::metadata);
  m.def(
      "_import_function",
      [](const std::string& path) {
        return unlocked([&] { return import_function(path); });
      },
      nb::arg("path"));
  m.def("_list_function",
        &listing,
        nb::arg("fun"),
        nb::arg("args"),
        nb::arg("kwargs"));
}

}  // namespace treadle::python
