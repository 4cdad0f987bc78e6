// The pieces of the Python array type, one file each.
#pragma once

#include "convert.h"

namespace treadle::python {

using ArrayClass = nb::class_<array>;

// Number protocol, comparisons, len, buffer protocol: slots of the type, which
// cost no attribute look-up.
const PyType_Slot* array_slots();

// array_value.cpp
// Evaluates, and gives the address of the first element in the CPU's memory.
const void* host_data(const array& x);
nb::object item_of(const array& x);
nb::object to_list(const array& x);
std::string repr_of(const array& x);

// indexing.cpp
ArrayObject get_item(const array& x, nb::handle index);
void set_item(array& x, nb::handle index, nb::handle value);

// array_export.cpp
int get_buffer(PyObject* self, Py_buffer* view, int flags);
void release_buffer(PyObject* self, Py_buffer* view);
void bind_exports(nb::module_& m, ArrayClass& c);

// The C++ exception in flight as the Python error that a binding raises for it.
void set_python_error() noexcept;

// Runs the body of a slot: a C++ exception becomes a Python error and the
// slot's error value.
template <class F, class R = PyObject*>
R slot(F&& f, R error = nullptr) noexcept {
  try {
    return f();
  } catch (...) {
    set_python_error();
    return error;
  }
}

}  // namespace treadle::python
