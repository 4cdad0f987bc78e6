// The array type: construction, attributes and conversions. Its operators are
// in array_operators.cpp, methods that are also functions beside these.
#include "array.h"

#include <nanobind/stl/string.h>

#include "treadle/base/error.h"
#include "treadle/ops/views.h"

#include "bindings.h"

namespace treadle::python {

namespace {

struct ArrayIterator {
  array source;
  int64_t next = 0;
};

// __getstate__ and __setstate__: dtype name, shape and bytes in row order.
nb::tuple state_of(const array& x) {
  array rows = contiguous(x);
  const void* data = host_data(rows);
  return nb::make_tuple(
      std::string(name_of(x.dtype())), x.shape(), nb::bytes(data, x.nbytes()));
}

Dtype dtype_named(const std::string& name) {
  for (int i = 0; i < kNumDtypes; ++i) {
    if (name_of(static_cast<Dtype>(i)) == name) return static_cast<Dtype>(i);
  }
  invalid("array", "'" + name + "' is no dtype.");
}

array from_state(const nb::tuple& state) {
  if (state.size() != 3) invalid("array", "cannot read this pickled state.");
  Dtype dtype = dtype_named(nb::cast<std::string>(state[0]));
  Shape shape = nb::cast<Shape>(state[1]);
  nb::bytes bytes = nb::cast<nb::bytes>(state[2]);
  if (bytes.size() != size_t(size_of(shape)) * size_of(dtype)) {
    invalid("array",
            "a pickled array holds " + std::to_string(bytes.size()) +
                " bytes for shape " + to_string(shape) + ".");
  }
  return array::from_bytes(bytes.data(), shape, dtype);
}

}  // namespace

void bind_array(nb::module_& m) {
  ArrayClass c(m,
               "array",
               nb::type_slots(array_slots()),
               nb::is_weak_referenceable(),
               nb::pooled(256),
               "An N-dimensional array, computed when its value is needed.");
  array_type = reinterpret_cast<PyTypeObject*>(c.ptr());

  c.def(
       "__init__",
       [](array* self, nb::handle val, std::optional<Dtype> dtype) {
         new (self) array(make_array(val, dtype));
       },
       nb::arg("val"),
       nb::arg("dtype") = nb::none())
      .def_prop_ro("size", &array::size, "Number of elements.")
      .def_prop_ro("ndim", &array::ndim, "Number of axes.")
      .def_prop_ro("itemsize", &array::itemsize, "Bytes of one element.")
      .def_prop_ro("nbytes", &array::nbytes, "Bytes of all elements.")
      .def_prop_ro(
          "shape",
          [](const array& x) { return to_tuple(x.shape()); },
          "Length of each axis, a tuple.")
      .def_prop_ro("dtype", &array::dtype, "Type of the elements.")
      .def("item",
           &item_of,
           nb::sig("def item(self) -> bool | int | float | complex"),
           "The value of a one-element array as a Python number.")
      .def(
          "tolist", &to_list, "The elements as nested lists, or as one number.")
      .def("__repr__", &repr_of)
      .def("__complex__",
           [](const array& x) {
             nb::object v = item_of(x);
             return nb::steal(PyObject_CallOneArg(
                 reinterpret_cast<PyObject*>(&PyComplex_Type), v.ptr()));
           })
      .def("__bytes__",
           [](const array& x) {
             array rows = contiguous(x);
             const void* data = host_data(rows);
             return nb::bytes(data, x.nbytes());
           })
      .def("__copy__", [](const array& x) { return x; })
      .def("__deepcopy__", [](const array& x, nb::handle) { return x; })
      .def("__getstate__", &state_of)
      .def("__setstate__",
           [](array& self, const nb::tuple& state) {
             new (&self) array(from_state(state));
           })
      .def("__format__",
           [](nb::handle self, nb::handle spec) {
             const array& x = array_of(self);
             if (nb::len(spec) == 0) return nb::object(nb::str(self));
             if (x.ndim() > 0) {
               throw nb::type_error("a format is for arrays without axes.");
             }
             nb::object v = item_of(x);
             return nb::steal(PyObject_Format(v.ptr(), spec.ptr()));
           })
      .def("__iter__",
           [](const array& x) {
             if (x.ndim() == 0)
               throw nb::type_error("iter() of an array without axes.");
             return ArrayIterator{x};
           })
      .def(
          "__array_namespace__",
          [](const array&, nb::handle) {
            return nb::module_::import_("treadle.core");
          },
          nb::arg("api_version") = nb::none(),
          "The module of array functions.");
  bind_exports(m, c);

  nb::class_<ArrayIterator>(m, "ArrayIterator", "Goes along the first axis.")
      .def("__iter__", [](nb::handle self) { return nb::borrow(self); })
      .def("__next__", [](ArrayIterator& it) {
        if (it.next >= it.source.shape(0)) throw nb::stop_iteration();
        return get_item(it.source, nb::int_(it.next++));
      });
}

}  // namespace treadle::python
