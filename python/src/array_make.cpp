// array(...): from Python numbers, nested lists and other libraries' arrays.
#include <string>
#include <vector>

#include "treadle/base/error.h"
#include "treadle/ops/views.h"

#include "array.h"

namespace treadle::python {

namespace {

bool is_list(PyObject* o) { return PyList_Check(o) || PyTuple_Check(o); }

[[noreturn]] void wrong_element(PyObject* o) {
  invalid("array",
          std::string("got an element of type ") + Py_TYPE(o)->tp_name +
              "; expected numbers, arrays or lists of them.");
}

// The shape of a nested list of numbers, and the dtype in which they meet.
class Scan {
 public:
  explicit Scan(PyObject* list) { visit(list, 0); }

  const Shape& shape() const { return shape_; }
  // Some elements are arrays, whose shapes are not part of shape().
  bool has_arrays() const { return has_arrays_; }
  Dtype dtype() const { return dtype_.value_or(float32); }

 private:
  void visit(PyObject* o, size_t depth) {
    if (is_list(o)) return visit_list(o, depth);
    if (leaf_depth_ && *leaf_depth_ != depth) uneven();
    leaf_depth_ = depth;
    Scalar number = 0;
    if (load_number(o, &number)) {
      meet(number.default_dtype());
    } else {
      has_arrays_ = true;
    }
  }

  void visit_list(PyObject* o, size_t depth) {
    if (has_arrays_) return;
    Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    if (depth == shape_.size()) {
      if (leaf_depth_) uneven();
      shape_.push_back(n);
    } else if (shape_[depth] != n) {
      uneven();
    }
    PyObject** items = PySequence_Fast_ITEMS(o);
    for (Py_ssize_t i = 0; i < n && !has_arrays_; ++i)
      visit(items[i], depth + 1);
  }

  void meet(Dtype d) { dtype_ = dtype_ ? promote_types(*dtype_, d) : d; }

  [[noreturn]] static void uneven() {
    invalid(
        "array",
        "the nested lists are uneven; expected equal lengths at each depth.");
  }

  Shape shape_;
  std::optional<Dtype> dtype_;
  std::optional<size_t> leaf_depth_;
  bool has_arrays_ = false;
};

void write_numbers(PyObject* o, Dtype dtype, char*& to) {
  if (is_list(o)) {
    Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
    PyObject** items = PySequence_Fast_ITEMS(o);
    for (Py_ssize_t i = 0; i < n; ++i) write_numbers(items[i], dtype, to);
    return;
  }
  Scalar number = 0;
  if (!load_number(o, &number)) wrong_element(o);
  number.write(dtype, to);
  to += size_of(dtype);
}

// Lists with arrays among the elements: level by level.
array stack_elements(PyObject* o, std::optional<Dtype> dtype) {
  if (!is_list(o)) {
    Operand x;
    if (!load_operand(o, &x)) wrong_element(o);
    array a = x.to_array();
    return dtype && *dtype != a.dtype() ? astype(a, *dtype) : a;
  }
  Arrays parts;
  std::optional<Dtype> met = dtype;
  Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
  for (Py_ssize_t i = 0; i < n; ++i) {
    parts.push_back(stack_elements(PySequence_Fast_GET_ITEM(o, i), dtype));
    Dtype d = parts.back().dtype();
    met = met ? promote_types(*met, d) : d;
  }
  for (array& p : parts) {
    if (p.shape() != parts[0].shape()) {
      invalid("array",
              "elements have shapes " + to_string(parts[0].shape()) + " and " +
                  to_string(p.shape()) + "; expected equal ones.");
    }
    if (p.dtype() != *met) p = astype(p, *met);
  }
  return stack(parts);
}

array from_list(PyObject* o, std::optional<Dtype> dtype) {
  Scan scan(o);
  if (scan.has_arrays()) return stack_elements(o, dtype);
  Dtype d = dtype.value_or(scan.dtype());
  std::vector<char> bytes(size_t(size_of(scan.shape())) * size_of(d));
  char* to = bytes.data();
  write_numbers(o, d, to);
  return array::from_bytes(bytes.data(), scan.shape(), d);
}

}  // namespace

array make_array(nb::handle value, std::optional<Dtype> dtype) {
  PyObject* o = value.ptr();
  if (is_array(o)) {
    const array& x = array_of(o);
    return dtype && *dtype != x.dtype() ? astype(x, *dtype) : x;
  }
  if (is_list(o)) return from_list(o, dtype);
  Scalar number = 0;
  if (load_number(o, &number))
    return array(number, dtype.value_or(number.default_dtype()));
  array made;
  if (load_foreign(value, dtype, &made)) return made;
  if (o == Py_None) throw nb::type_error("array() got None; expected a value.");
  invalid("array",
          std::string("cannot make an array from a ") + Py_TYPE(o)->tp_name +
              "; expected a number, a nested list, or an object with a buffer, "
              "__dlpack__ or __mlx_array__.");
}

}  // namespace treadle::python
