// x[index], x[index] = value, x.at[index] and slices from computed starts: the
// Python forms of an index as parts of treadle/ops/at.h.
#include <string>

#include "treadle/base/error.h"
#include "treadle/ops/at.h"
#include "treadle/ops/create.h"
#include "treadle/ops/views.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

[[noreturn]] void wrong_index(nb::handle h) {
  invalid("index",
          std::string("an index is of type ") + Py_TYPE(h.ptr())->tp_name +
              "; expected ints, slices, None, Ellipsis, bools, or arrays or "
              "lists of integers or bools.");
}

Range range_of(PyObject* o) {
  auto* s = reinterpret_cast<PySliceObject*>(o);
  Range r;
  Py_ssize_t start, stop, step;
  if (PySlice_Unpack(o, &start, &stop, &step) < 0) throw nb::python_error();
  if (s->start != Py_None) r.start = start;
  if (s->stop != Py_None) r.stop = stop;
  r.step = step;
  return r;
}

// The array of a list or another sequence of numbers.
array listed(nb::handle h) {
  nb::list items(nb::borrow(h));
  if (items.size() == 0) return zeros({0}, int32);
  return make_array(items);
}

At part_of(nb::handle h) {
  PyObject* o = h.ptr();
  if (PyBool_Check(o)) return At(o == Py_True);
  if (PyLong_Check(o)) return At(to_int(h));
  if (o == Py_Ellipsis) return At(Ellipsis{});
  if (o == Py_None) return At(NewAxis{});
  if (PySlice_Check(o)) return At(range_of(o));
  if (is_array(o)) return At(array_of(o));
  if (PyList_Check(o) || PyTuple_Check(o) || PyRange_Check(o)) {
    return At(listed(h));
  }
  array indices;
  if (load_foreign(h, {}, &indices)) return At(indices);
  if (PyIndex_Check(o)) return At(to_int(h));
  wrong_index(h);
}

Index index_of(nb::handle h) {
  Index index;
  if (!PyTuple_Check(h.ptr())) {
    index.push_back(part_of(h));
    return index;
  }
  index.reserve(nb::len(h));
  for (nb::handle part : nb::borrow<nb::tuple>(h)) {
    index.push_back(part_of(part));
  }
  return index;
}

array values_of(nb::handle value, Dtype dtype) {
  Operand v;
  if (!load_operand(value.ptr(), &v)) {
    invalid("index",
            std::string("cannot assign a ") + Py_TYPE(value.ptr())->tp_name +
                " to elements; expected an array or a number.");
  }
  return v.is_number() ? array(v.number, dtype) : v.as_array();
}

// x.at[index]: waits for the update.
struct ArrayAt {
  array x;
  std::optional<Index> index = {};

  array update(nb::handle value, Update how) const {
    if (!index) invalid("index", "x.at has no index; write x.at[i].add(v).");
    return update_at(x, *index, values_of(value, x.dtype()), how);
  }
};

Axes axes_of(const Shape& axes) { return Axes(axes.begin(), axes.end()); }

}  // namespace

ArrayObject get_item(const array& x, nb::handle h) {
  return wrap(at(x, index_of(h)));
}

void set_item(array& x, nb::handle h, nb::handle value) {
  x = update_at(x, index_of(h), values_of(value, x.dtype()));
}

void bind_indexing(nb::module_& m) {
  nb::class_<ArrayAt> c(
      m, "ArrayAt", "Updates elements at an index: x.at[i].add(v).");
  c.def(
      "__getitem__",
      [](const ArrayAt& self, nb::handle h) {
        return ArrayAt{self.x, index_of(h)};
      },
      nb::arg("indices").none());
  auto update = [&c](const char* name, Update how, const char* doc) {
    c.def(
        name,
        [how](const ArrayAt& self, nb::handle value) {
          return wrap(self.update(value, how));
        },
        nb::arg("value"),
        doc);
  };
  update("add", Update::add, "x with the values added there.");
  update("subtract", Update::subtract, "x with the values subtracted there.");
  update("multiply", Update::multiply, "x with the values multiplied there.");
  update("divide", Update::divide, "x divided by the values there.");
  update("maximum", Update::maximum, "x with the larger of both there.");
  update("minimum", Update::minimum, "x with the smaller of both there.");

  nb::borrow<ArrayClass>(reinterpret_cast<PyObject*>(array_type))
      .def_prop_ro(
          "at",
          [](const array& x) { return ArrayAt{x}; },
          "Updates that apply each of several values for one element: "
          "x.at[i].add(v), and subtract, multiply, divide, maximum, minimum.");
  m.def(
      "slice",
      [](const array& a,
         const array& start_indices,
         const Shape& axes,
         const Shape& slice_size,
         const StreamOrDevice& s) {
        return wrap(slice_from(a, start_indices, axes_of(axes), slice_size, s));
      },
      nb::arg("a"),
      nb::arg("start_indices"),
      nb::arg("axes"),
      nb::arg("slice_size"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "The part of `a` of shape slice_size that starts at start_indices[k] on "
      "axis axes[k] and at 0 on the others.");
  m.def(
      "slice_update",
      [](const array& a,
         const array& update,
         const array& start_indices,
         const Shape& axes,
         const StreamOrDevice& s) {
        return wrap(
            slice_update_from(a, update, start_indices, axes_of(axes), s));
      },
      nb::arg("a"),
      nb::arg("update"),
      nb::arg("start_indices"),
      nb::arg("axes"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "`a` with `update` written from start_indices[k] on axis axes[k] and "
      "from 0 on the others.");
}

}  // namespace treadle::python
