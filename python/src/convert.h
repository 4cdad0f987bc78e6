// Between Python objects and the library's values: what every binding uses.
#pragma once

#include <optional>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "treadle/base/device.h"
#include "treadle/graph/array.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"

namespace treadle::python {

namespace nb = nanobind;

// The Python type of arrays; set when it is bound.
extern PyTypeObject* array_type;

inline bool is_array(PyObject* o) {
  return Py_TYPE(o) == array_type || PyType_IsSubtype(Py_TYPE(o), array_type);
}
inline bool is_array(nb::handle h) { return is_array(h.ptr()); }
inline array& array_of(nb::handle h) { return *nb::inst_ptr<array>(h); }

// A Python array, with its type in signatures.
class ArrayObject : public nb::object {
 public:
  ArrayObject() = default;
  explicit ArrayObject(nb::object o) : nb::object(std::move(o)) {}
};

// A new Python array; faster than nb::cast.
ArrayObject wrap(array a);

// What Python holds of a dtype: a class of its own, for str(), size and hash.
struct DtypeObject {
  Dtype dtype;
};
// A stream of its own for each thread that uses it.
struct ThreadLocalStream {
  int id;
  Device device;
  Stream here() const;
};

// The Python object of a dtype: one for each, made when the module starts.
nb::object dtype_object(Dtype dtype);

// An argument that is an array or a number.
struct Operand {
  enum class Kind : uint8_t {
    array,    // a Python array, which outlives the call
    number,   // weak: takes the dtype of the arrays it meets
    foreign,  // NumPy or __mlx_array__, converted: takes the other's dtype too
  };
  Kind kind = Kind::number;
  const array* ref = nullptr;
  Scalar number = 0;
  array value;

  bool is_number() const { return kind == Kind::number; }
  const array& as_array() const { return kind == Kind::array ? *ref : value; }
  operator Term() const {
    return is_number() ? Term(number) : Term(as_array());
  }
  // As an array of its own dtype, or, when it is weak, of `like`.
  array to_array(std::optional<Dtype> like = {}) const;
};

// False for what is no operand, with no Python error set.
bool load_operand(PyObject* o, Operand* to);

// Applies a row to operands: a foreign one takes the dtype of the array that it
// meets.
array apply(Row row, Operand& a, const StreamOrDevice& s = {});
array apply(Row row, Operand& a, Operand& b, const StreamOrDevice& s = {});
array apply(
    Row row, Operand& a, Operand& b, Operand& c, const StreamOrDevice& s = {});

// An int, or what has __index__. Throws TypeError for other objects.
int64_t to_int(nb::handle h);
// A Python number to a weak scalar; false when it is none.
bool load_number(PyObject* o, Scalar* to);

nb::tuple to_tuple(const Shape& shape);

// An array from a number, a nested list, NumPy, DLPack or __mlx_array__.
array make_array(nb::handle value, std::optional<Dtype> dtype = {});
// The same for objects with memory of their own; false when `value` is none.
bool load_foreign(nb::handle value, std::optional<Dtype> dtype, array* to);

// Gives imported memory back to its libraries, now; from then on none is.
void close_returns();

// A shape given as one int or a sequence of ints.
struct IntOrShape {
  Shape shape;
};
// One axis or several.
struct AxisOrAxes {
  Axes axes;
};

// Sets a Python error; in front of the text goes the module being called:
// "layers.1 (Linear 64->64): ". Defined in nn.cpp.
void set_error(PyObject* type, const char* what);

// Runs f without the interpreter's lock: for what waits.
template <class F>
auto unlocked(F&& f) {
  nb::gil_scoped_release release;
  return f();
}

}  // namespace treadle::python

namespace nanobind::detail {

template <>
struct type_caster<treadle::python::ArrayObject> {
  NB_TYPE_CASTER(treadle::python::ArrayObject, const_name<treadle::array>())
  bool from_python(handle h, uint32_t, cleanup_list*) noexcept {
    if (!treadle::python::is_array(h)) return false;
    value = treadle::python::ArrayObject(borrow(h));
    return true;
  }
  static handle from_cpp(const treadle::python::ArrayObject& o,
                         rv_policy,
                         cleanup_list*) noexcept {
    return o.inc_ref();
  }
};

template <>
struct type_caster<treadle::Dtype> {
  NB_TYPE_CASTER(treadle::Dtype, const_name<treadle::python::DtypeObject>())
  bool from_python(handle h, uint32_t, cleanup_list*) noexcept;
  static handle from_cpp(treadle::Dtype d, rv_policy, cleanup_list*) noexcept {
    return treadle::python::dtype_object(d).release();
  }
};

template <>
struct type_caster<treadle::StreamOrDevice> {
  NB_TYPE_CASTER(treadle::StreamOrDevice,
                 const_name<treadle::Stream>() + const_name(" | ") +
                     const_name<treadle::python::ThreadLocalStream>() +
                     const_name(" | ") + const_name<treadle::Device>() +
                     const_name(" | ") + const_name<treadle::Device::Type>())
  bool from_python(handle h, uint32_t, cleanup_list*) noexcept;
};

template <>
struct type_caster<treadle::Shape> {
  NB_TYPE_CASTER(treadle::Shape, const_name("collections.abc.Sequence[int]"))
  bool from_python(handle h, uint32_t, cleanup_list*) noexcept;
  static handle from_cpp(const treadle::Shape& s,
                         rv_policy,
                         cleanup_list*) noexcept {
    return treadle::python::to_tuple(s).release();
  }
};

template <>
struct type_caster<treadle::python::IntOrShape> {
  NB_TYPE_CASTER(treadle::python::IntOrShape,
                 const_name("int | collections.abc.Sequence[int]"))
  bool from_python(handle h, uint32_t, cleanup_list*) noexcept;
};

template <>
struct type_caster<treadle::python::AxisOrAxes> {
  NB_TYPE_CASTER(treadle::python::AxisOrAxes,
                 const_name("int | collections.abc.Sequence[int]"))
  bool from_python(handle h, uint32_t, cleanup_list*) noexcept;
};

template <>
struct type_caster<treadle::AxisArg> {
  NB_TYPE_CASTER(treadle::AxisArg,
                 const_name("int | collections.abc.Sequence[int]"))
  bool from_python(handle h, uint32_t, cleanup_list*) noexcept;
};

template <>
struct type_caster<treadle::python::Operand> {
  NB_TYPE_CASTER(treadle::python::Operand,
                 const_name<treadle::array>() +
                     const_name(" | bool | int | float | complex"))
  bool from_python(handle h, uint32_t, cleanup_list*) noexcept;
};

// A sequence of arrays.
template <>
struct type_caster<treadle::Arrays> {
  NB_TYPE_CASTER(treadle::Arrays,
                 const_name("collections.abc.Sequence[") +
                     const_name<treadle::array>() + const_name("]"))
  bool from_python(handle h, uint32_t, cleanup_list*) noexcept;
  static handle from_cpp(const treadle::Arrays& v,
                         rv_policy,
                         cleanup_list*) noexcept;
};

}  // namespace nanobind::detail
