// Arrays in files.
#include <map>

#include <nanobind/stl/map.h>
#include <nanobind/stl/vector.h>

#include "treadle/base/error.h"
#include "treadle/io/gguf.h"
#include "treadle/io/npy.h"
#include "treadle/io/npz.h"
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

nb::object value_object(const GgufValue& v) {
  if (const auto* text = std::get_if<std::string>(&v)) return nb::cast(*text);
  if (const auto* texts = std::get_if<std::vector<std::string>>(&v)) {
    nb::list out;
    for (const std::string& t : *texts) out.append(nb::cast(t));
    return out;
  }
  return wrap(std::get<array>(v));
}

nb::dict dict_of(std::vector<std::pair<std::string, array>> arrays) {
  nb::dict out;
  for (auto& [name, x] : arrays) out[nb::cast(name)] = wrap(std::move(x));
  return out;
}

nb::object load_gguf_dicts(const std::string& path, bool return_metadata) {
  Gguf g = unlocked([&] { return load_gguf(path); });
  nb::dict arrays = dict_of(std::move(g.tensors)), metadata;
  for (const auto& [key, v] : g.metadata) {
    metadata[nb::cast(key)] = value_object(v);
  }
  if (!return_metadata) return arrays;
  return nb::make_tuple(arrays, metadata);
}

// The arrays of a dict by name.
std::vector<std::pair<std::string, array>> named_arrays(const nb::dict& arrays,
                                                        const char* op) {
  std::vector<std::pair<std::string, array>> out;
  for (auto [name, value] : arrays) {
    if (!is_array(value)) {
      std::string what = "[" + std::string(op) + "] '" +
                         nb::cast<std::string>(nb::str(name)) + "' is a " +
                         Py_TYPE(value.ptr())->tp_name + "; expected an array.";
      PyErr_SetString(PyExc_TypeError, what.c_str());
      throw nb::python_error();
    }
    out.emplace_back(nb::cast<std::string>(name), array_of(value));
  }
  return out;
}

void save_gguf_dicts(nb::handle file,
                     const nb::dict& arrays,
                     const nb::dict& metadata) {
  std::string path = path_of(file, "save_gguf");
  if (!path.ends_with(".gguf")) path += ".gguf";
  std::vector<std::pair<std::string, GgufValue>> values;
  for (auto [name, value] : metadata) {
    GgufValue v;
    nb::object held = nb::borrow(value);
    std::vector<std::string> texts;
    if (is_array(value)) {
      v = array_of(value);
    } else if (nb::isinstance<nb::str>(value)) {
      v = nb::cast<std::string>(held);
    } else if (nb::try_cast(held, texts)) {
      v = std::move(texts);
    } else {
      std::string what = "[save_gguf] the metadata '" +
                         nb::cast<std::string>(nb::str(name)) + "' is a " +
                         Py_TYPE(value.ptr())->tp_name +
                         "; expected an array, a str or a list of str.";
      PyErr_SetString(PyExc_TypeError, what.c_str());
      throw nb::python_error();
    }
    values.emplace_back(nb::cast<std::string>(name), std::move(v));
  }
  auto tensors = named_arrays(arrays, "save_gguf");
  unlocked([&] { save_gguf(path, tensors, values); });
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
  if (ending == ".npz")
    return dict_of(unlocked([&] { return load_npz(path); }));
  if (ending == ".gguf") return load_gguf_dicts(path, return_metadata);
  if (ending != kEnding) {
    invalid("load",
            "'" + path + "' has the format '" + ending +
                "'; expected .safetensors, .gguf, .npz or .npy.");
  }
  Safetensors loaded = unlocked([&] { return load_safetensors(path); });
  nb::dict arrays = dict_of(std::move(loaded.tensors));
  if (!return_metadata) return arrays;
  return nb::make_tuple(arrays, nb::cast(loaded.metadata));
}

void save(nb::handle file,
          const nb::dict& arrays,
          const std::optional<std::map<std::string, std::string>>& metadata) {
  std::string path = path_of(file, "save_safetensors");
  if (!path.ends_with(kEnding)) path += kEnding;
  auto tensors = named_arrays(arrays, "save_safetensors");
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
        "of strings, or in gguf files also of arrays. Formats: safetensors, "
        "gguf and npy, known by the file's ending.");
  m.def("save_safetensors",
        save,
        nb::arg("file"),
        nb::arg("arrays"),
        nb::arg("metadata") = nb::none(),
        "Writes a dict of arrays, and a dict of strings with it. The file is "
        "put in place "
        "when all is written; its name gets the ending .safetensors if it has "
        "another.");
  m.def("save_gguf",
        save_gguf_dicts,
        nb::arg("file"),
        nb::arg("arrays"),
        nb::arg("metadata") = nb::dict(),
        "Writes a dict of arrays and a dict of metadata in the GGUF format.");
}

}  // namespace treadle::python
