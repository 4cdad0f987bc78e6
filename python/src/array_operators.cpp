// Operators of the array type, as slots: `z + y` of two arrays goes from the
// interpreter to the recorder with a type test between.
#include <new>
#include <stdexcept>
#include <string>

#include "treadle/base/error.h"
#include "treadle/ops/matmul.h"

#include "array.h"

namespace treadle::python {

namespace {

PyObject* python_type(nb::exception_type type) {
  switch (type) {
    case nb::exception_type::type_error:
      return PyExc_TypeError;
    case nb::exception_type::value_error:
      return PyExc_ValueError;
    case nb::exception_type::index_error:
      return PyExc_IndexError;
    case nb::exception_type::key_error:
      return PyExc_KeyError;
    case nb::exception_type::buffer_error:
      return PyExc_BufferError;
    case nb::exception_type::stop_iteration:
      return PyExc_StopIteration;
    default:
      return PyExc_RuntimeError;
  }
}

}  // namespace

void set_python_error() noexcept {
  try {
    throw;
  } catch (nb::python_error& e) {
    e.restore();
  } catch (nb::builtin_exception& e) {
    set_error(python_type(e.type()), e.what());
  } catch (const nb::cast_error&) {
    set_error(PyExc_TypeError, "an argument is of a wrong type.");
  } catch (const std::bad_alloc& e) {
    set_error(PyExc_MemoryError, e.what());
  } catch (const std::out_of_range& e) {
    set_error(PyExc_IndexError, e.what());
  } catch (const std::invalid_argument& e) {
    set_error(PyExc_ValueError, e.what());
  } catch (const std::exception& e) {
    set_error(PyExc_RuntimeError, e.what());
  } catch (...) {
    set_error(PyExc_RuntimeError, "an unknown exception was thrown.");
  }
}

namespace {

// The array of a slot's own object, which may never have been initialised.
array& self_array(PyObject* o) {
  if (!nb::inst_ready(o)) {
    throw nb::type_error("the array was made without calling __init__.");
  }
  return array_of(o);
}

PyObject* not_implemented() {
  Py_INCREF(Py_NotImplemented);
  return Py_NotImplemented;
}

// Lists and strings are a mistake worth naming; other types may know arrays and
// get their turn.
bool load_or_refuse(PyObject* o, Operand* to, Row row) {
  if (load_operand(o, to)) return true;
  if (PyList_Check(o) || PyTuple_Check(o) || PyUnicode_Check(o) ||
      PyDict_Check(o)) {
    invalid(info(row).name,
            std::string("got an array and a ") + Py_TYPE(o)->tp_name +
                "; expected arrays or numbers.");
  }
  return false;
}

template <Row row>
PyObject* binary(PyObject* a, PyObject* b) {
  return slot([&]() -> PyObject* {
    if (Py_TYPE(a) == array_type && Py_TYPE(b) == array_type &&
        nb::inst_ready(a) && nb::inst_ready(b)) {
      const Term terms[] = {array_of(a), array_of(b)};
      return wrap(apply_row(row, terms)).release().ptr();
    }
    Operand x, y;
    if (!load_or_refuse(a, &x, row) || !load_or_refuse(b, &y, row)) {
      return not_implemented();
    }
    return wrap(apply(row, x, y)).release().ptr();
  });
}

// In place: the object stays, its value is another. Everything that refers to
// the object sees that; arrays computed from the former value do not.
template <Row row>
PyObject* in_place(PyObject* a, PyObject* b) {
  return slot([&]() -> PyObject* {
    Operand x, y;
    if (!is_array(a) || !load_or_refuse(a, &x, row) ||
        !load_or_refuse(b, &y, row)) {
      return not_implemented();
    }
    array& target = self_array(a);
    if (row == Row::divide && !is_inexact(target.dtype())) {
      invalid("divide",
              "in place, the quotient is floating but the array is " +
                  std::string(name_of(target.dtype())) + "; write x = x / y.");
    }
    target = apply(row, x, y);
    Py_INCREF(a);
    return a;
  });
}

template <Row row>
PyObject* unary(PyObject* a) {
  return slot([&] {
    const Term term = self_array(a);
    return wrap(apply_row(row, std::span<const Term>(&term, 1)))
        .release()
        .ptr();
  });
}

PyObject* positive(PyObject* a) {
  return slot([&] { return wrap(self_array(a)).release().ptr(); });
}

PyObject* pow_slot(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) return not_implemented();
  return binary<Row::power>(a, b);
}

PyObject* ipow_slot(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) return not_implemented();
  return in_place<Row::power>(a, b);
}

PyObject* matmul_slot(PyObject* a, PyObject* b) {
  return slot([&]() -> PyObject* {
    if (!is_array(a) || !is_array(b)) return not_implemented();
    return wrap(matmul(self_array(a), self_array(b))).release().ptr();
  });
}

PyObject* imatmul_slot(PyObject* a, PyObject* b) {
  return slot([&]() -> PyObject* {
    if (!is_array(a) || !is_array(b)) return not_implemented();
    self_array(a) = matmul(self_array(a), self_array(b));
    Py_INCREF(a);
    return a;
  });
}

Row comparison(int op) {
  switch (op) {
    case Py_LT:
      return Row::less;
    case Py_LE:
      return Row::less_equal;
    case Py_GT:
      return Row::greater;
    case Py_GE:
      return Row::greater_equal;
    case Py_NE:
      return Row::not_equal;
    default:
      return Row::equal;
  }
}

PyObject* compare(PyObject* a, PyObject* b, int op) {
  return slot([&]() -> PyObject* {
    Row row = comparison(op);
    Operand x, y;
    if (!load_operand(a, &x)) return not_implemented();
    bool equality = op == Py_EQ || op == Py_NE;
    if (!(equality ? load_operand(b, &y) : load_or_refuse(b, &y, row))) {
      return not_implemented();
    }
    return wrap(apply(row, x, y)).release().ptr();
  });
}

int truth(PyObject* a) {
  return slot([&] { return PyObject_IsTrue(item_of(self_array(a)).ptr()); },
              -1);
}

nb::object as_real(PyObject* a) {
  nb::object v = item_of(self_array(a));
  if (PyComplex_Check(v.ptr())) v = nb::float_(PyComplex_RealAsDouble(v.ptr()));
  return v;
}

PyObject* to_int_slot(PyObject* a) {
  return slot([&] { return PyNumber_Long(as_real(a).ptr()); });
}

PyObject* to_float_slot(PyObject* a) {
  return slot([&] { return PyNumber_Float(as_real(a).ptr()); });
}

PyObject* index_slot(PyObject* a) {
  return slot([&] {
    const array& x = self_array(a);
    if (x.ndim() != 0 || !is_integer(x.dtype())) {
      throw nb::type_error(
          "only integer arrays without axes serve as an index.");
    }
    return item_of(x).release().ptr();
  });
}

Py_ssize_t length(PyObject* a) {
  return slot(
      [&] {
        const array& x = self_array(a);
        if (x.ndim() == 0)
          throw nb::type_error("len() of an array without axes.");
        return Py_ssize_t(x.shape(0));
      },
      Py_ssize_t(-1));
}

PyObject* subscript(PyObject* a, PyObject* index) {
  return slot([&] { return get_item(self_array(a), index).release().ptr(); });
}

int set_subscript(PyObject* a, PyObject* index, PyObject* value) {
  return slot(
      [&] {
        if (!value)
          throw nb::type_error("elements of an array cannot be deleted.");
        set_item(self_array(a), index, value);
        return 0;
      },
      -1);
}

// As an element of dicts and sets an array is one object, whatever its value.
Py_hash_t hash(PyObject* a) {
  return Py_hash_t(reinterpret_cast<uintptr_t>(a) >> 4);
}

template <class F>
void* fn(F* f) {
  return reinterpret_cast<void*>(f);
}

}  // namespace

const PyType_Slot* array_slots() {
  static const PyType_Slot slots[] = {
      {Py_nb_add, fn(binary<Row::add>)},
      {Py_nb_subtract, fn(binary<Row::subtract>)},
      {Py_nb_multiply, fn(binary<Row::multiply>)},
      {Py_nb_true_divide, fn(binary<Row::divide>)},
      {Py_nb_floor_divide, fn(binary<Row::floor_divide>)},
      {Py_nb_remainder, fn(binary<Row::remainder>)},
      {Py_nb_power, fn(pow_slot)},
      {Py_nb_matrix_multiply, fn(matmul_slot)},
      {Py_nb_and, fn(binary<Row::bitwise_and>)},
      {Py_nb_or, fn(binary<Row::bitwise_or>)},
      {Py_nb_xor, fn(binary<Row::bitwise_xor>)},
      {Py_nb_lshift, fn(binary<Row::left_shift>)},
      {Py_nb_rshift, fn(binary<Row::right_shift>)},
      {Py_nb_inplace_add, fn(in_place<Row::add>)},
      {Py_nb_inplace_subtract, fn(in_place<Row::subtract>)},
      {Py_nb_inplace_multiply, fn(in_place<Row::multiply>)},
      {Py_nb_inplace_true_divide, fn(in_place<Row::divide>)},
      {Py_nb_inplace_floor_divide, fn(in_place<Row::floor_divide>)},
      {Py_nb_inplace_remainder, fn(in_place<Row::remainder>)},
      {Py_nb_inplace_power, fn(ipow_slot)},
      {Py_nb_inplace_matrix_multiply, fn(imatmul_slot)},
      {Py_nb_inplace_and, fn(in_place<Row::bitwise_and>)},
      {Py_nb_inplace_or, fn(in_place<Row::bitwise_or>)},
      {Py_nb_inplace_xor, fn(in_place<Row::bitwise_xor>)},
      {Py_nb_inplace_lshift, fn(in_place<Row::left_shift>)},
      {Py_nb_inplace_rshift, fn(in_place<Row::right_shift>)},
      {Py_nb_negative, fn(unary<Row::negative>)},
      {Py_nb_absolute, fn(unary<Row::abs>)},
      {Py_nb_invert, fn(unary<Row::bitwise_invert>)},
      {Py_nb_positive, fn(positive)},
      {Py_nb_bool, fn(truth)},
      {Py_nb_int, fn(to_int_slot)},
      {Py_nb_float, fn(to_float_slot)},
      {Py_nb_index, fn(index_slot)},
      {Py_tp_richcompare, fn(compare)},
      {Py_tp_hash, fn(hash)},
      {Py_mp_length, fn(length)},
      {Py_mp_subscript, fn(subscript)},
      {Py_mp_ass_subscript, fn(set_subscript)},
      {Py_bf_getbuffer, fn(get_buffer)},
      {Py_bf_releasebuffer, fn(release_buffer)},
      {0, nullptr},
  };
  return slots;
}

}  // namespace treadle::python
