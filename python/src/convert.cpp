#include "convert.h"

#include "treadle/base/error.h"
#include "treadle/ops/views.h"

namespace treadle::python {

PyTypeObject* array_type = nullptr;

ArrayObject wrap(array a) {
  nb::object o =
      nb::inst_alloc(nb::handle(reinterpret_cast<PyObject*>(array_type)));
  new (nb::inst_ptr<array>(o)) array(std::move(a));
  nb::inst_mark_ready(o);
  return ArrayObject(std::move(o));
}

bool load_number(PyObject* o, Scalar* to) {
  if (PyFloat_Check(o)) {
    *to = PyFloat_AS_DOUBLE(o);
    return true;
  }
  if (PyBool_Check(o)) {
    *to = o == Py_True;
    return true;
  }
  if (PyLong_Check(o)) {
    int overflow = 0;
    long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow) {
      invalid("array", "a Python int lies outside the range of int64.");
    }
    *to = int64_t(v);
    return true;
  }
  if (PyComplex_Check(o)) {
    *to = std::complex<double>(PyComplex_RealAsDouble(o),
                               PyComplex_ImagAsDouble(o));
    return true;
  }
  return false;
}

bool load_operand(PyObject* o, Operand* to) {
  if (is_array(o)) {
    if (!nb::inst_ready(o)) return false;
    to->kind = Operand::Kind::array;
    to->ref = &array_of(o);
    return true;
  }
  if (load_number(o, &to->number)) {
    to->kind = Operand::Kind::number;
    return true;
  }
  if (load_foreign(o, {}, &to->value)) {
    to->kind = Operand::Kind::foreign;
    return true;
  }
  return false;
}

array Operand::to_array(std::optional<Dtype> like) const {
  if (!is_number()) return as_array();
  return array(number,
               like ? number.dtype_with(*like) : number.default_dtype());
}

namespace {

// A foreign array meets Python arrays as a number would.
void settle(std::span<Operand* const> operands) {
  const array* met = nullptr;
  bool foreign = false;
  for (Operand* o : operands) {
    if (o->kind == Operand::Kind::array) met = o->ref;
    foreign = foreign || o->kind == Operand::Kind::foreign;
  }
  if (!foreign || !met) return;
  for (Operand* o : operands) {
    if (o->kind == Operand::Kind::foreign && o->value.dtype() != met->dtype()) {
      o->value = astype(o->value, met->dtype());
    }
  }
}

}  // namespace

array apply(Row row, Operand& a, const StreamOrDevice& s) {
  const Term terms[] = {a};
  return apply_row(row, terms, s);
}

array apply(Row row, Operand& a, Operand& b, const StreamOrDevice& s) {
  Operand* both[] = {&a, &b};
  settle(both);
  const Term terms[] = {a, b};
  return apply_row(row, terms, s);
}

array apply(
    Row row, Operand& a, Operand& b, Operand& c, const StreamOrDevice& s) {
  Operand* choices[] = {&b, &c};
  settle(choices);
  const Term terms[] = {a, b, c};
  return apply_row(row, terms, s);
}

int64_t to_int(nb::handle h) {
  if (!PyIndex_Check(h.ptr())) {
    PyErr_Format(
        PyExc_TypeError, "expected an int, got %s.", Py_TYPE(h.ptr())->tp_name);
    throw nb::python_error();
  }
  nb::object i = nb::steal(PyNumber_Index(h.ptr()));
  if (!i) throw nb::python_error();
  int64_t v = PyLong_AsLongLong(i.ptr());
  if (v == -1 && PyErr_Occurred()) throw nb::python_error();
  return v;
}

nb::tuple to_tuple(const Shape& shape) {
  nb::object t = nb::steal(PyTuple_New(Py_ssize_t(shape.size())));
  for (size_t i = 0; i < shape.size(); ++i) {
    PyTuple_SET_ITEM(t.ptr(), Py_ssize_t(i), PyLong_FromLongLong(shape[i]));
  }
  return nb::borrow<nb::tuple>(t);
}

namespace {

// Reads a sequence of ints into v; false when it is none.
template <class V>
bool load_ints(PyObject* o, V* v) noexcept {
  if (PyUnicode_Check(o) || PyBytes_Check(o) || is_array(o) ||
      !PySequence_Check(o)) {
    return false;
  }
  PyObject* fast = PySequence_Fast(o, "");
  if (!fast) {
    PyErr_Clear();
    return false;
  }
  bool ok = true;
  Py_ssize_t n = PySequence_Fast_GET_SIZE(fast);
  v->clear();
  for (Py_ssize_t i = 0; ok && i < n; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(fast, i);
    Py_ssize_t value = PyIndex_Check(item)
                           ? PyNumber_AsSsize_t(item, PyExc_OverflowError)
                           : -1;
    ok = PyIndex_Check(item) && !(value == -1 && PyErr_Occurred());
    if (ok) v->push_back(typename V::value_type(value));
  }
  if (!ok) PyErr_Clear();
  Py_DECREF(fast);
  return ok;
}

template <class V>
bool load_int_or_ints(PyObject* o, V* v) noexcept {
  if (!PyIndex_Check(o) || PyBool_Check(o)) return load_ints(o, v);
  Py_ssize_t value = PyNumber_AsSsize_t(o, PyExc_OverflowError);
  if (value == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    return false;
  }
  v->clear();
  v->push_back(typename V::value_type(value));
  return true;
}

}  // namespace
}  // namespace treadle::python

namespace nanobind::detail {

using namespace treadle::python;

bool type_caster<treadle::Shape>::from_python(handle h,
                                              uint32_t,
                                              cleanup_list*) noexcept {
  return load_ints(h.ptr(), &value);
}

bool type_caster<IntOrShape>::from_python(handle h,
                                          uint32_t,
                                          cleanup_list*) noexcept {
  return load_int_or_ints(h.ptr(), &value.shape);
}

bool type_caster<AxisOrAxes>::from_python(handle h,
                                          uint32_t,
                                          cleanup_list*) noexcept {
  return load_int_or_ints(h.ptr(), &value.axes);
}

bool type_caster<treadle::AxisArg>::from_python(handle h,
                                                uint32_t,
                                                cleanup_list*) noexcept {
  value = treadle::AxisArg();
  if (h.is_none()) return true;
  treadle::Axes axes;
  if (!load_int_or_ints(h.ptr(), &axes)) return false;
  value = treadle::AxisArg(std::move(axes));
  return true;
}

bool type_caster<Operand>::from_python(handle h,
                                       uint32_t,
                                       cleanup_list*) noexcept {
  try {
    return !h.is_none() && load_operand(h.ptr(), &value);
  } catch (
      ...) {  // an int beyond int64: reported as an argument that does not fit
    PyErr_Clear();
    return false;
  }
}

bool type_caster<treadle::Arrays>::from_python(handle h,
                                               uint32_t,
                                               cleanup_list*) noexcept {
  if (!PySequence_Check(h.ptr()) || PyUnicode_Check(h.ptr())) return false;
  PyObject* fast = PySequence_Fast(h.ptr(), "");
  if (!fast) {
    PyErr_Clear();
    return false;
  }
  Py_ssize_t n = PySequence_Fast_GET_SIZE(fast);
  value.clear();
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* item = PySequence_Fast_GET_ITEM(fast, i);
    if (!is_array(item)) break;
    value.push_back(array_of(item));
  }
  Py_DECREF(fast);
  return Py_ssize_t(value.size()) == n;
}

handle type_caster<treadle::Arrays>::from_cpp(const treadle::Arrays& v,
                                              rv_policy,
                                              cleanup_list*) noexcept {
  PyObject* list = PyList_New(Py_ssize_t(v.size()));
  if (!list) return handle();
  for (size_t i = 0; i < v.size(); ++i) {
    PyList_SET_ITEM(list, Py_ssize_t(i), wrap(v[i]).release().ptr());
  }
  return list;
}

}  // namespace nanobind::detail
