// From the elements of an array to Python numbers, lists and text.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "treadle/base/error.h"
#include "treadle/graph/node.h"

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

// The elements of an array, wherever they lie. Evaluates.
class Elements {
 public:
  explicit Elements(const array& x) : itemsize_(int64_t(x.itemsize())) {
    address_ = static_cast<const char*>(host_data(x));
    shape_ = x.shape();
    strides_ = x.layout().strides;
  }

  size_t ndim() const { return shape_.size(); }
  int64_t length(size_t axis) const { return shape_[axis]; }
  // Byte offset of element i along an axis.
  int64_t step(size_t axis, int64_t i) const {
    return i * strides_[axis] * itemsize_;
  }
  template <class T>
  T at(int64_t offset) const {
    return *reinterpret_cast<const T*>(address_ + offset);
  }

 private:
  Shape shape_;
  Strides strides_;
  const char* address_;
  int64_t itemsize_;
};

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

// Six significant digits, as a C++ stream writes them, or as many after the
// point as the print options say.
void print_number(std::string& out, double v) {
  // A NaN has no sign worth showing.
  if (std::isnan(v)) {
    out += "nan";
    return;
  }
  const int precision = print_precision();
  char text[512];  // 309 digits, a point and at most 100 digits
  if (precision < 0) {
    std::snprintf(text, sizeof text, "%g", v);
  } else {
    std::snprintf(text, sizeof text, "%.*f", precision, v);
  }
  out += text;
}

template <class T>
void print(std::string& out, T v) {
  if constexpr (std::is_same_v<T, bool>) {
    out += v ? "True" : "False";
  } else if constexpr (std::is_same_v<T, complex64_t>) {
    print_number(out, double(v.real()));
    if (!std::signbit(v.imag()) || std::isnan(v.imag())) out += '+';
    print_number(out, double(v.imag()));
    out += 'j';
  } else if constexpr (std::is_integral_v<T>) {
    out += std::to_string(v);
  } else {
    print_number(out, double(v));
  }
}

constexpr int64_t kShown = 3;  // elements at each end of a long axis

template <class T>
void print_along(std::string& out,
                 const Elements& e,
                 size_t axis,
                 int64_t offset) {
  if (axis == e.ndim()) return print(out, e.at<T>(offset));
  int64_t n = e.length(axis);
  bool last = axis + 1 == e.ndim();
  out += '[';
  for (int64_t i = 0; i < n; ++i) {
    if (i > 0) {
      out += last ? ", " : ",\n";
      if (!last) out.append(axis + 7, ' ');
    }
    if (i == kShown && n > 2 * kShown) {
      out += "...";
      i = n - kShown - 1;
      continue;
    }
    print_along<T>(out, e, axis + 1, offset + e.step(axis, i));
  }
  out += ']';
}

}  // namespace

std::atomic<int>& print_precision() {
  static std::atomic<int> precision{-1};
  return precision;
}

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
  Elements e(x);
  return visit_dtype(x.dtype(), [&]<class T>() {
    return nb::steal<nb::object>(to_python(e.at<T>(0)));
  });
}

nb::object to_list(const array& x) {
  Elements e(x);
  return visit_dtype(x.dtype(),
                     [&]<class T>() { return list_along<T>(e, 0, 0); });
}

std::string repr_of(const array& x) {
  std::string out = "array(";
  Elements e(x);
  visit_dtype(x.dtype(), [&]<class T>() { print_along<T>(out, e, 0, 0); });
  out += ", dtype=";
  out += name_of(x.dtype());
  return out + ")";
}

}  // namespace treadle::python
