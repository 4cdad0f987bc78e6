// From the elements of an array to Python numbers, lists and text.
#include <sstream>
#include <string>
#include <utility>

#include "treadle/base/error.h"
#include "treadle/graph/elements.h"
#include "treadle/graph/node.h"
#include "treadle/graph/print.h"

#include "array.h"

namespace treadle::python {

namespace {

PyObject* to_python(bool v) { return PyBool_FromLong(v); }
PyObject* to_python(complex64_t v) {
  return PyComplex_FromDoubles(double(v.real()), double(v.imag()));
}
PyObject* to_python(float16_t v) {
  return PyFloat_FromDouble(double(float(v)));
}
PyObject* to_python(bfloat16_t v) {
  return PyFloat_FromDouble(double(float(v)));
}
template <class T>
PyObject* to_python(T v) {
  if constexpr (std::is_floating_point_v<T>) {
    return PyFloat_FromDouble(double(v));
  } else if constexpr (std::is_unsigned_v<T>) {
    return PyLong_FromUnsignedLongLong(v);
  } else {
    return PyLong_FromLongLong(v);
  }
}

template <class T>
nb::object list_along(const Elements& e, size_t axis, int64_t offset) {
  if (axis == e.ndim()) return nb::steal(to_python(e.at<T>(offset)));
  nb::object list = nb::steal(PyList_New(Py_ssize_t(e.length(axis))));
  for (int64_t i = 0; i < e.length(axis); ++i) {
    PyList_SET_ITEM(
        list.ptr(),
        Py_ssize_t(i),
        list_along<T>(e, axis + 1, offset + e.step(axis, i)).release().ptr());
  }
  return list;
}

}  // namespace

const void* host_data(const array& x) {
  if (x.node()->status.load(std::memory_order_acquire) != Status::available) {
    unlocked([&] { x.eval(); });
  }
  return visit_dtype(x.dtype(),
                     [&]<class T>() -> const void* { return x.data<T>(); });
}

nb::object item_of(const array& x) {
  if (x.size() != 1) {
    invalid("item",
            "an array of shape " + to_string(x.shape()) +
                " is no Python number; expected one element.");
  }
  const Elements e(x, host_data(x));
  return visit_dtype(x.dtype(), [&]<class T>() {
    return nb::steal<nb::object>(to_python(e.at<T>(0)));
  });
}

nb::object to_list(const array& x) {
  const Elements e(x, host_data(x));
  return visit_dtype(x.dtype(),
                     [&]<class T>() { return list_along<T>(e, 0, 0); });
}

std::string repr_of(const array& x) {
  host_data(x);  // without Python's lock
  std::ostringstream out;
  out << x;
  return std::move(out).str();
}

}  // namespace treadle::python
