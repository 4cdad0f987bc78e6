// x[index] and x[index] = value: ints, slices, None, Ellipsis and integer
// arrays as compositions of slice, squeeze, expand_dims, take and their
// updates.
#include <optional>
#include <string>
#include <vector>

#include "treadle/base/error.h"
#include "treadle/ops/create.h"
#include "treadle/ops/index.h"
#include "treadle/ops/views.h"

#include "array.h"

namespace treadle::python {

namespace {

[[noreturn]] void not_there_yet(const std::string& what) {
  PyErr_SetString(PyExc_NotImplementedError,
                  ("[index] " + what + " is not there yet.").c_str());
  throw nb::python_error();
}

[[noreturn]] void wrong_index(nb::handle h) {
  invalid("index",
          std::string("an index is of type ") + Py_TYPE(h.ptr())->tp_name +
              "; expected ints, slices, None, Ellipsis or integer arrays.");
}

// An index, part by part: one slice for each axis of x, then what becomes of
// the axes.
struct Index {
  // What an axis of the sliced array turns into.
  enum class Axis : uint8_t { kept, dropped, gathered };
  struct Gather {
    int axis;  // of x
    array indices;
  };

  Shape start, stop, step;
  std::vector<Axis> axes;  // for each axis of x
  std::vector<int>
      added;  // positions of None, counted in kept axes before them
  std::vector<Gather> gathers;
  bool whole = true;  // the slice is all of x

  explicit Index(const array& x, nb::handle index);

 private:
  void add_int(const array& x, int64_t i);
  void add_slice(const array& x, nb::handle s);
  void add_whole(const array& x);
  void add_array(const array& x, array indices);

  size_t next() const { return axes.size(); }
};

std::vector<nb::object> parts_of(nb::handle index) {
  std::vector<nb::object> parts;
  if (PyTuple_Check(index.ptr())) {
    for (nb::handle h : nb::borrow<nb::tuple>(index))
      parts.push_back(nb::borrow(h));
  } else {
    parts.push_back(nb::borrow(index));
  }
  return parts;
}

Index::Index(const array& x, nb::handle index) {
  std::vector<nb::object> parts = parts_of(index);
  size_t used = 0;  // axes of x that the parts name
  bool ellipsis = false;
  for (const nb::object& p : parts) {
    if (p.ptr() == Py_Ellipsis) {
      if (ellipsis) invalid("index", "got two Ellipsis; expected at most one.");
      ellipsis = true;
    } else if (!p.is_none()) {
      ++used;
    }
  }
  size_t ndim = size_t(x.ndim());
  if (used > ndim) {
    invalid("index",
            "got " + std::to_string(used) + " indices for an array of " +
                std::to_string(ndim) + " axes.");
  }
  for (const nb::object& p : parts) {
    PyObject* o = p.ptr();
    if (o == Py_Ellipsis) {
      for (size_t n = ndim - used; n > 0; --n) add_whole(x);
    } else if (o == Py_None) {
      int kept = 0;
      for (Axis a : axes) kept += a != Axis::dropped;
      added.push_back(kept);
    } else if (PySlice_Check(o)) {
      add_slice(x, p);
    } else if (PyBool_Check(o)) {
      not_there_yet("a bool as an index");
    } else if (is_array(o)) {
      add_array(x, array_of(o));
    } else if (PyList_Check(o)) {
      add_array(x, make_array(p));
    } else if (PyIndex_Check(o)) {
      add_int(x, to_int(p));
    } else {
      array indices;
      if (!load_foreign(p, {}, &indices)) wrong_index(p);
      add_array(x, indices);
    }
  }
  while (next() < ndim) add_whole(x);
  if (gathers.size() > 1) not_there_yet("more than one array in an index");
  if (!gathers.empty() && !added.empty()) {
    not_there_yet("None beside an array in an index");
  }
}

void Index::add_whole(const array& x) {
  start.push_back(0);
  stop.push_back(x.shape()[next()]);
  step.push_back(1);
  axes.push_back(Axis::kept);
}

void Index::add_int(const array& x, int64_t i) {
  int64_t n = x.shape()[next()];
  if (i < -n || i >= n) {
    out_of_range("index",
                 "index " + std::to_string(i) + " is outside axis " +
                     std::to_string(next()) + " of length " +
                     std::to_string(n) + ".");
  }
  i = i < 0 ? i + n : i;
  start.push_back(i);
  stop.push_back(i + 1);
  step.push_back(1);
  axes.push_back(Axis::dropped);
  whole = false;
}

void Index::add_slice(const array& x, nb::handle s) {
  Py_ssize_t from, to, by;
  if (PySlice_Unpack(s.ptr(), &from, &to, &by) < 0) throw nb::python_error();
  Py_ssize_t n = Py_ssize_t(x.shape()[next()]);
  Py_ssize_t count = PySlice_AdjustIndices(n, &from, &to, by);
  whole = whole && count == n && by == 1;
  start.push_back(from);
  // slice() reads a negative stop as counted from the end.
  stop.push_back(to < 0 ? -n - 1 : to);
  step.push_back(by);
  axes.push_back(Axis::kept);
}

void Index::add_array(const array& x, array indices) {
  if (indices.dtype() == bool_) not_there_yet("a bool array as an index");
  if (!is_integer(indices.dtype())) {
    invalid("index",
            "an index array is " + std::string(name_of(indices.dtype())) +
                "; expected an integer type.");
  }
  gathers.push_back({int(next()), std::move(indices)});
  add_whole(x);
  axes.back() = Axis::gathered;
}

Axes dropped_axes(const Index& index) {
  Axes dropped;
  for (size_t i = 0; i < index.axes.size(); ++i) {
    if (index.axes[i] == Index::Axis::dropped) dropped.push_back(int(i));
  }
  return dropped;
}

// Axes of the result that None adds.
Axes added_axes(const Index& index) {
  Axes added;
  for (size_t i = 0; i < index.added.size(); ++i) {
    added.push_back(index.added[i] + int(i));
  }
  return added;
}

// The gathered axis, counted after the dropped ones are gone.
int gathered_axis(const Index& index) {
  int axis = index.gathers[0].axis;
  for (int i = 0; i < index.gathers[0].axis; ++i) {
    axis -= index.axes[size_t(i)] == Index::Axis::dropped;
  }
  return axis;
}

// `values` for the slice that the index names: axes that None added are gone,
// dropped ones are back with length 1.
array shaped_for_slice(array values, const Index& index) {
  Shape shape;
  for (size_t i = 0; i < index.axes.size(); ++i) {
    int64_t n = index.stop[i] - index.start[i], by = index.step[i];
    if (by < 0 && index.stop[i] < 0) n = -1 - index.start[i];
    shape.push_back(
        index.axes[i] == Index::Axis::dropped
            ? 1
            : std::max<int64_t>(0, (n + by + (by > 0 ? -1 : 1)) / by));
  }
  Shape kept;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (index.axes[i] != Index::Axis::dropped) kept.push_back(shape[i]);
  }
  Shape wanted = kept;
  for (int axis : added_axes(index)) wanted.insert(wanted.begin() + axis, 1);
  // Leading axes of length 1 may stand before those of the slice.
  while (values.ndim() > int(wanted.size()) && values.shape(0) == 1) {
    values = squeeze(values, 0);
  }
  if (values.ndim() == 0) return values;
  return reshape(broadcast_to(values, wanted), shape);
}

}  // namespace

ArrayObject get_item(const array& x, nb::handle h) {
  if (PyLong_CheckExact(h.ptr()) && x.ndim() == 0) {
    invalid("index", "got an index for an array without axes.");
  }
  Index index(x, h);
  array y = index.whole ? x : slice(x, index.start, index.stop, index.step);
  if (Axes dropped = dropped_axes(index); !dropped.empty())
    y = squeeze(y, dropped);
  if (!index.gathers.empty())
    return wrap(take(y, index.gathers[0].indices, gathered_axis(index)));
  if (!index.added.empty()) y = expand_dims(y, added_axes(index));
  return wrap(std::move(y));
}

void set_item(array& x, nb::handle h, nb::handle value) {
  Operand v;
  if (!load_operand(value.ptr(), &v)) {
    invalid("index",
            std::string("cannot assign a ") + Py_TYPE(value.ptr())->tp_name +
                " to elements; expected an array or a number.");
  }
  array values = v.is_number() ? array(v.number, x.dtype()) : v.as_array();
  if (values.dtype() != x.dtype()) values = astype(values, x.dtype());
  if (is_array(h) && array_of(h).dtype() == bool_) {
    if (values.ndim() != 0)
      not_there_yet("assigning an array through a bool array");
    const array& mask = array_of(h);
    if (mask.ndim() > x.ndim()) {
      invalid("index",
              "a mask of " + std::to_string(mask.ndim()) +
                  " axes for an array of " + std::to_string(x.ndim()) + ".");
    }
    Shape wide = mask.shape();
    for (int i = 0; i < mask.ndim(); ++i) {
      if (mask.shape(i) != x.shape(i)) {
        invalid("index",
                "the mask has shape " + to_string(mask.shape()) +
                    " and the array " + to_string(x.shape()) +
                    "; expected equal leading axes.");
      }
    }
    while (int(wide.size()) < x.ndim()) wide.push_back(1);
    x = where(reshape(mask, wide), values, x);
    return;
  }
  Index index(x, h);
  if (index.gathers.empty()) {
    x = slice_update(x,
                     shaped_for_slice(values, index),
                     index.start,
                     index.stop,
                     index.step);
    return;
  }
  const array& indices = index.gathers[0].indices;
  int axis = index.gathers[0].axis;
  // x (P..., N, Q...) takes values broadcast to (P..., I..., Q...).
  array part = index.whole ? x : slice(x, index.start, index.stop, index.step);
  Shape shape, given;
  for (int i = 0; i < part.ndim(); ++i) {
    if (i == axis) {
      shape.append(indices.shape().begin(), indices.shape().end());
      given.append(indices.shape().begin(), indices.shape().end());
    } else {
      shape.push_back(part.shape(i));
      if (index.axes[size_t(i)] != Index::Axis::dropped)
        given.push_back(part.shape(i));
    }
  }
  values = reshape(broadcast_to(values, given), shape);
  part = scatter(part, indices, values, axis);
  x = index.whole ? part
                  : slice_update(x, part, index.start, index.stop, index.step);
}

}  // namespace treadle::python
