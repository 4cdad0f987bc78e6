// treadle._core._nn: the walks over Python modules and trees that every
// training step takes. What they do is described where Python calls them.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "treadle/base/error.h"
#include "treadle/base/listing.h"
#include "treadle/graph/record.h"
#include "treadle/nn/modules/observe.h"
#include "treadle/transforms/compile.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

using namespace nb::literals;

namespace {

// The class Module; leaked, since modules outlive the interpreter's last steps.
PyObject* module_type = nullptr;

bool is_module(PyObject* o) {
  return PyDict_Check(o) &&
         PyType_IsSubtype(Py_TYPE(o),
                          reinterpret_cast<PyTypeObject*>(module_type));
}

nb::object checked(PyObject* owned) {
  if (!owned) throw nb::python_error();
  return nb::steal(owned);
}
void check(int status) {
  if (status < 0) throw nb::python_error();
}

// One level of a walk; a tree that holds itself is a RecursionError.
struct Level {
  Level() {
    if (Py_EnterRecursiveCall(" while walking over a module or tree"))
      throw nb::python_error();
  }
  ~Level() { Py_LeaveRecursiveCall(); }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;
};

// --- parameters --------------------------------------------------------------

bool is_hidden(PyObject* key) {
  if (!PyUnicode_Check(key)) return false;
  return PyUnicode_GET_LENGTH(key) > 0 && PyUnicode_READ_CHAR(key, 0) == '_';
}

class Parameters {
 public:
  explicit Parameters(bool trainable) : trainable_(trainable) {}

  nb::object of_module(PyObject* module) const {
    Level level;
    nb::object frozen;
    if (trainable_)
      frozen = checked(PyObject_GetAttrString(module, "_no_grad"));
    nb::object out = checked(PyDict_New());
    PyObject *key, *value;
    for (Py_ssize_t i = 0; PyDict_Next(module, &i, &key, &value);) {
      if (is_hidden(key) || !is_part(value) || contains(frozen, key)) continue;
      check(PyDict_SetItem(out.ptr(), key, of_value(value, frozen, key).ptr()));
    }
    return out;
  }

 private:
  static bool is_part(PyObject* o) {
    return is_array(o) || PyDict_Check(o) || PyList_Check(o);
  }
  static bool contains(const nb::object& frozen, PyObject* key) {
    if (!frozen.is_valid() || PySet_GET_SIZE(frozen.ptr()) == 0) return false;
    int found = PySet_Contains(frozen.ptr(), key);
    check(found);
    return found == 1;
  }

  // `key` is the way from the module that `frozen` belongs to: "layers.0".
  nb::object of_value(PyObject* value,
                      const nb::object& frozen,
                      PyObject* key) const {
    if (is_array(value)) return nb::borrow(value);
    if (is_module(value)) return of_module(value);
    Level level;
    if (PyDict_Check(value)) {
      nb::object out = checked(PyDict_New());
      PyObject *k, *v;
      for (Py_ssize_t i = 0; PyDict_Next(value, &i, &k, &v);)
        check(PyDict_SetItem(out.ptr(), k, of_item(v, frozen, key, k).ptr()));
      return out;
    }
    Py_ssize_t n = PyList_GET_SIZE(value);
    nb::object out = checked(PyList_New(n));
    for (Py_ssize_t i = 0; i < n; ++i) {
      nb::object index = checked(PyLong_FromSsize_t(i));
      nb::object item =
          of_item(PyList_GET_ITEM(value, i), frozen, key, index.ptr());
      PyList_SET_ITEM(out.ptr(), i, item.release().ptr());
    }
    return out;
  }

  nb::object of_item(PyObject* value,
                     const nb::object& frozen,
                     PyObject* key,
                     PyObject* last) const {
    if (!is_part(value)) return checked(PyDict_New());
    nb::object path = checked(PyUnicode_FromFormat("%S.%S", key, last));
    if (contains(frozen, path.ptr())) return checked(PyDict_New());
    return of_value(value, frozen, path.ptr());
  }

  bool trainable_;
};

// --- update ------------------------------------------------------------------

// A place in a tree, as a list from the inside out; on the stack of the walk.
struct Place {
  const Place* above;
  PyObject* key;  // null for an item of a list
  Py_ssize_t index;
};

std::string path_of(const Place* place) {
  std::string path;
  for (; place; place = place->above) {
    std::string key =
        place->key ? nb::cast<std::string>(nb::str(nb::handle(place->key)))
                   : std::to_string(place->index);
    path = path.empty() ? key : key + "." + path;
  }
  return path;
}

const char* type_name(PyObject* o) { return Py_TYPE(o)->tp_name; }

[[noreturn]] void refuse(const std::string& what) {
  throw nb::value_error(what.c_str());
}

class Update {
 public:
  explicit Update(bool strict) : strict_(strict) {}

  void walk(PyObject* target, PyObject* tree, const Place* at) const {
    Level level;
    if (PyDict_Check(tree)) {
      PyObject *key, *value;
      for (Py_ssize_t i = 0; PyDict_Next(tree, &i, &key, &value);) {
        Place place{at, key, 0};
        PyObject* old = PyDict_Check(target)
                            ? PyDict_GetItemWithError(target, key)
                            : nullptr;
        if (!old && PyErr_Occurred()) throw nb::python_error();
        if (old) {
          if (set(old, value, &place))
            check(PyDict_SetItem(target, key, value));
        } else if (strict_) {
          refuse(fmt::format("Module does not have parameter named \"{}\".",
                             path_of(&place)));
        }
      }
    } else if (PyList_Check(tree)) {
      Py_ssize_t given = PyList_GET_SIZE(tree);
      Py_ssize_t size = PyList_Check(target) ? PyList_GET_SIZE(target) : 0;
      if (strict_ && given > size) {
        refuse(
            fmt::format("List index {0} is out of bounds for destination of "
                        "length {0}, '{1}'; there are {2} "
                        "values for it.",
                        size,
                        path_of(at),
                        given));
      }
      for (Py_ssize_t i = 0; i < std::min(size, given); ++i) {
        Place place{at, nullptr, i};
        PyObject* value = PyList_GET_ITEM(tree, i);
        if (!set(PyList_GET_ITEM(target, i), value, &place)) continue;
        check(PyList_SetItem(target, i, Py_NewRef(value)));
      }
    } else if (strict_) {
      refuse(fmt::format(
          "Received invalid type: {} for '{}'.", type_name(tree), path_of(at)));
    }
  }

 private:
  // Goes on below `old`, or says that it is to be replaced.
  bool set(PyObject* old, PyObject* value, const Place* place) const {
    if (!is_array(old)) {
      walk(old, value, place);
      return false;
    }
    if (strict_ && !is_array(value)) {
      refuse(
          fmt::format("Received invalid type: {} for '{}'; expected an array.",
                      type_name(value),
                      path_of(place)));
    }
    return true;
  }

  bool strict_;
};

// --- leaves ------------------------------------------------------------------

nb::object child(PyObject* tree, PyObject* key) {
  if (PyDict_Check(tree)) {
    PyObject* found = PyDict_GetItemWithError(tree, key);
    if (found) return nb::borrow(found);
    if (!PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, key);
    throw nb::python_error();
  }
  return checked(PyObject_GetItem(tree, key));
}

// Appends the leaves of trees[0] and what the other trees have at their places.
void zip_leaves(const std::vector<nb::object>& trees,
                std::vector<nb::list>& out) {
  Level level;
  PyObject* first = trees[0].ptr();
  std::vector<nb::object> below(trees.size());
  auto descend = [&](PyObject* value, PyObject* key) {
    below[0] = nb::borrow(value);
    for (size_t t = 1; t < trees.size(); ++t)
      below[t] = child(trees[t].ptr(), key);
    zip_leaves(below, out);
  };
  if (PyDict_Check(first)) {
    PyObject *key, *value;
    for (Py_ssize_t i = 0; PyDict_Next(first, &i, &key, &value);)
      descend(value, key);
  } else if (PyList_Check(first) || PyTuple_Check(first)) {
    nb::object items = checked(PySequence_Fast(first, ""));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.ptr()); ++i) {
      nb::object index = checked(PyLong_FromSsize_t(i));
      descend(PySequence_Fast_GET_ITEM(items.ptr(), i), index.ptr());
    }
  } else {
    for (size_t t = 0; t < trees.size(); ++t) out[t].append(trees[t]);
  }
}

nb::object with_leaves(PyObject* tree, PyObject* leaves, Py_ssize_t& next) {
  Level level;
  if (PyDict_Check(tree)) {
    nb::object out = checked(PyDict_New());
    PyObject *key, *value;
    for (Py_ssize_t i = 0; PyDict_Next(tree, &i, &key, &value);)
      check(PyDict_SetItem(
          out.ptr(), key, with_leaves(value, leaves, next).ptr()));
    return out;
  }
  if (PyList_Check(tree) || PyTuple_Check(tree)) {
    nb::list items;
    nb::object sequence = checked(PySequence_Fast(tree, ""));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence.ptr()); ++i)
      items.append(with_leaves(
          PySequence_Fast_GET_ITEM(sequence.ptr(), i), leaves, next));
    if (PyList_CheckExact(tree)) return items;
    nb::object type = nb::borrow(reinterpret_cast<PyObject*>(Py_TYPE(tree)));
    return nb::hasattr(type, "_fields") ? type(*items) : type(items);
  }
  if (next >= PyList_GET_SIZE(leaves))
    refuse("[with_leaves] there are fewer leaves than places.");
  return nb::borrow(PyList_GET_ITEM(leaves, next++));
}

// Names of modules that Python has entered on this thread; scopes nest.
std::vector<std::unique_ptr<ModuleScope>>& entered() {
  thread_local std::vector<std::unique_ptr<ModuleScope>> scopes;
  return scopes;
}

}  // namespace

void bind_nn_trees(nb::module_& m) {
  m.def(
      "enter_module",
      [](std::string name) {
        entered().push_back(std::make_unique<ModuleScope>(std::move(name)));
      },
      "name"_a,
      "What is recorded from now on, on this thread, has this module's name.");
  m.def(
      "leave_modules",
      [](size_t left) {
        while (entered().size() > left) entered().pop_back();
      },
      "left"_a,
      "Takes the last names back until `left` are left.");
  m.def(
      "modules_entered",
      [] { return entered().size(); },
      "How many names hold on this thread.");
  m.def(
      "some_of",
      [](const std::vector<std::string>& names) { return some_of(names); },
      "names"_a,
      "The first names, and how many there are.");
  m.def("next_node",
        &next_seq,
        "The number of the next operation that is recorded.");
  m.def(
      "flops",
      [](const Arrays& results, uint64_t since) {
        return nn::flops(results, since);
      },
      "results"_a,
      "since"_a = 0,
      "Multiplications and additions of the products, convolutions and "
      "attention behind results, of operations numbered from `since` on.");
  m.def(
      "set_compile_enabled",
      [](bool on) {
        const bool before = is_compile_enabled();
        on ? enable_compile() : disable_compile();
        return before;
      },
      "on"_a,
      "Whether compiled functions are compiled; returns what held before.");
  m.def(
      "set_module_type",
      [](nb::object type) { module_type = type.release().ptr(); },
      "type"_a,
      "Tells the functions here what a module is.");
  m.def(
      "parameters",
      [](nb::handle module, bool trainable) {
        return Parameters(trainable).of_module(module.ptr());
      },
      "module"_a,
      "trainable"_a,
      "The arrays of a module and all below it, as a tree of dicts and lists.");
  m.def(
      "update",
      [](nb::handle module, nb::handle tree, bool strict) {
        Update(strict).walk(module.ptr(), tree.ptr(), nullptr);
      },
      "module"_a,
      "tree"_a,
      "strict"_a,
      "Replaces arrays of a module.");
  m.def(
      "zip_leaves",
      [](nb::args trees) {
        std::vector<nb::object> all;
        for (nb::handle tree : trees) all.push_back(nb::borrow(tree));
        std::vector<nb::list> out(all.size());
        if (!all.empty()) zip_leaves(all, out);
        nb::list result;
        for (nb::list& leaves : out) result.append(leaves);
        return result;
      },
      "trees"_a,
      "For each tree, the list of what it has where the first one has leaves.");
  m.def(
      "with_leaves",
      [](nb::handle tree, nb::list leaves) {
        Py_ssize_t next = 0;
        return with_leaves(tree.ptr(), leaves.ptr(), next);
      },
      "tree"_a,
      "leaves"_a,
      "The same tree with other leaves.");
}

}  // namespace treadle::python
