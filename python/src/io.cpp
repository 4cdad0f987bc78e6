// Arrays in files.
#include <map>

#include <nanobind/stl/map.h>

#include "treadle/base/error.h"
#include "treadle/io/npy.h"
#include "treadle/io/safetensors.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

constexpr std::string_view kEnding = ".safetensors";

// A str or os.PathLike.
std::string path_of(nb::handle file, const char* function) {
  PyObject* path = PyOS_FSPath(file.ptr());
  if (!path) {
    PyErr_Clear();
    std::string what = "[" + std::string(function) + "] the file is a " +
                       Py_TYPE(file.ptr())->tp_name +
                       "; expected a str or os.PathLike.";
    PyErr_SetString(PyExc_TypeError, what.c_str());
    throw nb::python_error();
  }
  nb::object held = nb::steal(path);
  return nb::cast<std::string>(held);
}

array npy_from(nb::bytes bytes, const std::string& name) {
  return npy_from_bytes(std::span<const char>(bytes.c_str(), bytes.size()),
                        name);
}

nb::object load(nb::handle file,
                const std::optional<std::string>& format,
                bool return_metadata,
                const StreamOrDevice&) {
  std::string path = path_of(file, "load");
  std::string ending =
      format ? "." + *format
             : path.substr(std::min(path.rfind('.'), path.size()));
  if (ending == ".npy") {
    array a = unlocked([&] { return load_npy(path); });
    return wrap(std::move(a));
  }
  if (ending == ".gguf") not_there("[load] .gguf files are not read yet.");
  if (ending != kEnding) {
    invalid("load",
            "'" + path + "' has the format '" + ending +
                "'; expected .safetensors, .npz or .npy.");
  }
  Safetensors loaded = unlocked([&] { return load_safetensors(path); });
  nb::dict arrays;
  for (auto& [name, value] : loaded.tensors) {
    arrays[nb::cast(name)] = wrap(std::move(value));
  }
  if (!return_metadata) return arrays;
  return nb::make_tuple(arrays, nb::cast(loaded.metadata));
}

void save(nb::handle file,
          const nb::dict& arrays,
          const std::optional<std::map<std::string, std::string>>& metadata) {
  std::string path = path_of(file, "save_safetensors");
  if (!path.ends_with(kEnding)) path += kEnding;
  std::vector<std::pair<std::string, array>> tensors;
  for (auto [name, value] : arrays) {
    if (!is_array(value)) {
      std::string what = "[save_safetensors] '" +
                         nb::cast<std::string>(nb::str(name)) + "' is a " +
                         Py_TYPE(value.ptr())->tp_name + "; expected an array.";
      PyErr_SetString(PyExc_TypeError, what.c_str());
      throw nb::python_error();
    }
    tensors.emplace_back(nb::cast<std::string>(name), array_of(value));
  }
  unlocked([&] {
    save_safetensors(
        path, tensors, metadata.value_or(std::map<std::string, std::string>()));
  });
}

}  // namespace

void bind_io(nb::module_& m) {
  m.def("_npy_from_bytes",
        &npy_from,
        nb::arg("data"),
        nb::arg("name"),
        "The array of an .npy file's bytes.");
  m.def(
      "_npy_to_bytes",
      [](const array& a) {
        std::string bytes = unlocked([&] { return npy_to_bytes(a); });
        return nb::bytes(bytes.data(), bytes.size());
      },
      nb::arg("arr"),
      "An .npy file's bytes.");
  m.def("load",
        load,
        nb::arg("file"),
        nb::arg("format") = nb::none(),
        nb::arg("return_metadata") = false,
        nb::kw_only(),
        nb::arg("stream") = nb::none(),
        "The arrays of a file as a dict; with return_metadata also its "
        "metadata, a dict "
        "of strings. Formats: safetensors, known by the file's ending.");
  m.def("save_safetensors",
        save,
        nb::arg("file"),
        nb::arg("arrays"),
        nb::arg("metadata") = nb::none(),
        "Writes a dict of arrays, and a dict of strings with it. The file is "
        "put in place "
        "when all is written; its name gets the ending .safetensors if it has "
        "another.");
}

}  // namespace treadle::python
