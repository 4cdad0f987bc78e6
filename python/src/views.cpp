// Operations that move or reinterpret elements without computing.
#include "treadle/ops/views.h"

#include <string>

#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "treadle/base/error.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

// f(1, 2) and f((1, 2)) alike.
template <class V>
V unpacked(const nb::args& args) {
  nb::handle all = args;
  if (args.size() == 1 &&
      (PyList_Check(args[0].ptr()) || PyTuple_Check(args[0].ptr()))) {
    all = args[0];
  }
  V out;
  for (nb::handle h : nb::borrow<nb::sequence>(all)) {
    out.push_back(typename V::value_type(to_int(h)));
  }
  return out;
}

array squeeze_any(const array& a,
                  const std::optional<AxisOrAxes>& axis,
                  const StreamOrDevice& s) {
  return axis ? squeeze(a, axis->axes, s) : squeeze(a, s);
}

array transpose_any(const array& a,
                    const std::optional<Shape>& axes,
                    const StreamOrDevice& s) {
  if (!axes) return transpose(a, s);
  return transpose(a, Axes(axes->begin(), axes->end()), s);
}

array matrix_transpose(const array& a, const StreamOrDevice& s) {
  if (a.ndim() < 2) {
    invalid("matrix_transpose",
            "got an array of shape " + to_string(a.shape()) +
                "; expected at least two axes.");
  }
  return swapaxes(a, -1, -2, s);
}

Arrays split_any(const array& a,
                 const IntOrShape& parts,
                 bool sections,
                 int axis,
                 const StreamOrDevice& s) {
  if (sections) return split(a, int(parts.shape[0]), axis, s);
  return split(a, parts.shape, axis, s);
}

Arrays split_object(const array& a,
                    nb::handle parts,
                    int axis,
                    const StreamOrDevice& s) {
  return split_any(
      a, nb::cast<IntOrShape>(parts), PyIndex_Check(parts.ptr()), axis, s);
}

// Arguments that are arrays, one by one or as a sequence.
array joined(const Arrays& arrays,
             const std::optional<int>& axis,
             const StreamOrDevice& s) {
  if (axis) return concatenate(arrays, *axis, s);
  Arrays flat;
  for (const array& a : arrays) flat.push_back(flatten(a, 0, -1, s));
  return concatenate(flat, 0, s);
}

// 1, (1, 2), [(1, 2)] or one pair for each axis.
void load_pad_width(nb::handle width, int ndim, Shape* low, Shape* high) {
  auto pair = [](nb::handle h) -> std::pair<int64_t, int64_t> {
    Shape v = nb::cast<IntOrShape>(h).shape;
    if (v.size() != 1 && v.size() != 2) {
      invalid("pad",
              "pad_width has an entry of " + std::to_string(v.size()) +
                  " numbers; expected one or two.");
    }
    return {v[0], v.back()};
  };
  std::vector<std::pair<int64_t, int64_t>> pairs;
  bool nested = nb::isinstance<nb::sequence>(width) && nb::len(width) > 0 &&
                nb::isinstance<nb::sequence>(width[0]);
  if (nested) {
    for (nb::handle h : width) pairs.push_back(pair(h));
  } else {
    pairs.push_back(pair(width));
  }
  if (pairs.size() == 1) pairs.resize(size_t(ndim), pairs[0]);
  if (int(pairs.size()) != ndim) {
    invalid("pad",
            "pad_width has " + std::to_string(pairs.size()) +
                " entries for an array of " + std::to_string(ndim) + " axes.");
  }
  for (auto [before, after] : pairs) {
    low->push_back(before);
    high->push_back(after);
  }
}

array pad_any(const array& a,
              nb::handle width,
              const std::string& mode,
              Operand& value,
              const StreamOrDevice& s) {
  Shape low, high;
  load_pad_width(width, a.ndim(), &low, &high);
  if (mode == "edge") return pad(a, low, high, PadMode::edge, s);
  if (mode == "reflect") return pad(a, low, high, PadMode::reflect, s);
  if (mode == "symmetric") return pad(a, low, high, PadMode::symmetric, s);
  if (mode != "constant") {
    invalid("pad",
            "got mode '" + mode +
                "'; expected constant, edge, reflect or symmetric.");
  }
  if (value.is_number() && value.number.real() == 0 &&
      value.number.imag() == 0) {
    return pad(a, low, high, s);
  }
  Shape shape = a.shape(), stop = low;
  for (size_t i = 0; i < shape.size(); ++i) {
    stop[i] += shape[i];
    shape[i] = stop[i] + high[i];
  }
  return slice_update(full(shape, value, a.dtype(), s), a, low, stop, {}, s);
}

void bind_functions(nb::module_& m) {
  auto stream = nb::arg("stream") = nb::none();
  auto a = nb::arg("a");
  auto kw = nb::kw_only();
  m.def(
      "reshape",
      [](const array& a, const Shape& shape, const StreamOrDevice& s) {
        return wrap(reshape(a, shape, s));
      },
      a,
      nb::arg("shape"),
      kw,
      stream,
      "The elements in row order under another shape; one length may be -1.");
  m.def(
      "flatten",
      [](const array& a, int start, int end, const StreamOrDevice& s) {
        return wrap(flatten(a, start, end, s));
      },
      a,
      nb::arg("start_axis") = 0,
      nb::arg("end_axis") = -1,
      kw,
      stream,
      "Axes start_axis to end_axis become one.");
  m.def(
      "unflatten",
      [](const array& a,
         int axis,
         const Shape& shape,
         const StreamOrDevice& s) {
        return wrap(unflatten(a, axis, shape, s));
      },
      a,
      nb::arg("axis"),
      nb::arg("shape"),
      kw,
      stream,
      "An axis becomes several; one length may be -1.");
  m.def(
      "squeeze",
      [](const array& a,
         const std::optional<AxisOrAxes>& axis,
         const StreamOrDevice& s) { return wrap(squeeze_any(a, axis, s)); },
      a,
      nb::arg("axis") = nb::none(),
      kw,
      stream,
      "Drops axes of length 1: those given, or all.");
  m.def(
      "expand_dims",
      [](const array& a, const AxisOrAxes& axis, const StreamOrDevice& s) {
        return wrap(expand_dims(a, axis.axes, s));
      },
      a,
      nb::arg("axis"),
      kw,
      stream,
      "Adds axes of length 1 at positions of the result.");
  for (const char* name : {"transpose", "permute_dims"}) {
    m.def(
        name,
        [](const array& a,
           const std::optional<Shape>& axes,
           const StreamOrDevice& s) { return wrap(transpose_any(a, axes, s)); },
        a,
        nb::arg("axes") = nb::none(),
        kw,
        stream,
        "Reverses the axes, or puts axis axes[i] at position i.");
  }
  m.def(
      "matrix_transpose",
      [](const array& a, const StreamOrDevice& s) {
        return wrap(matrix_transpose(a, s));
      },
      a,
      kw,
      stream,
      "Swaps the last two axes.");
  m.def(
      "swapaxes",
      [](const array& a, int axis1, int axis2, const StreamOrDevice& s) {
        return wrap(swapaxes(a, axis1, axis2, s));
      },
      a,
      nb::arg("axis1"),
      nb::arg("axis2"),
      kw,
      stream,
      "Swaps two axes.");
  m.def(
      "moveaxis",
      [](const array& a, int source, int destination, const StreamOrDevice& s) {
        return wrap(moveaxis(a, source, destination, s));
      },
      a,
      nb::arg("source"),
      nb::arg("destination"),
      kw,
      stream,
      "Moves an axis to another position.");
  m.def(
      "broadcast_to",
      [](Operand& a, const Shape& shape, const StreamOrDevice& s) {
        return wrap(broadcast_to(a.to_array(), shape, s));
      },
      a,
      nb::arg("shape"),
      kw,
      stream,
      "Axes of length 1 repeat to reach the shape; missing leading axes are "
      "added.");
  m.def(
      "broadcast_arrays",
      [](nb::args args, const StreamOrDevice& s) {
        nb::handle all = args;
        if (args.size() == 1 && !is_array(args[0])) all = args[0];
        return broadcast_arrays(nb::cast<Arrays>(all), s);
      },
      nb::arg("arrays"),
      kw,
      stream,
      "All arrays broadcast to their common shape.");
  m.def(
      "broadcast_shapes",
      [](nb::args shapes) {
        Shape met;
        for (nb::handle h : shapes) {
          met = broadcast_shapes("broadcast_shapes", met, nb::cast<Shape>(h));
        }
        return met;
      },
      "The shape that several shapes broadcast to.");
  m.def(
      "astype",
      [](const array& a, Dtype dtype, const StreamOrDevice& s) {
        return wrap(astype(a, dtype, s));
      },
      a,
      nb::arg("dtype"),
      kw,
      stream,
      "The elements converted to a dtype.");
  m.def(
      "contiguous",
      [](const array& a, bool, const StreamOrDevice& s) {
        return wrap(contiguous(a, s));
      },
      a,
      nb::arg("allow_col_major") = false,
      kw,
      stream,
      "The same values in row order in memory, the array itself if it is "
      "evaluated and lies so; allow_col_major permits a column order, which "
      "is never chosen.");
  m.def(
      "stop_gradient",
      [](const array& a, const StreamOrDevice& s) {
        return wrap(stop_gradient(a, s));
      },
      a,
      kw,
      stream,
      "The same values, through which no derivative passes.");
  for (const char* name : {"concatenate", "concat"}) {
    m.def(
        name,
        [](const Arrays& arrays,
           std::optional<int> axis,
           const StreamOrDevice& s) { return wrap(joined(arrays, axis, s)); },
        nb::arg("arrays"),
        nb::arg("axis").none() = 0,
        kw,
        stream,
        "Arrays one after another along an axis; None: all flattened.");
  }
  m.def(
      "stack",
      [](const Arrays& arrays,
         std::optional<int> axis,
         const StreamOrDevice& s) {
        return wrap(stack(arrays, axis.value_or(0), s));
      },
      nb::arg("arrays"),
      nb::arg("axis").none() = 0,
      kw,
      stream,
      "Arrays of one shape along a new axis; None: the first.");
  m.def("split",
        &split_object,
        a,
        nb::arg("indices_or_sections"),
        nb::arg("axis") = 0,
        kw,
        stream,
        "Equal parts (an int), or parts cut before the given positions.");
  m.def("pad",
        &pad_any,
        a,
        nb::arg("pad_width"),
        nb::arg("mode") = "constant",
        nb::arg("constant_values") = 0,
        kw,
        stream,
        "The array with elements added around: pad_width before and after each "
        "axis, as an int, a pair, or a pair for each axis. Mode 'constant', or "
        "its own elements: 'edge', 'reflect', 'symmetric'.");
}

void bind_methods() {
  nb::handle type(reinterpret_cast<PyObject*>(array_type));
  auto method =
      [&](const char* name, auto f, const char* doc, const auto&... args) {
        type.attr(name) = nb::cpp_function(
            f, nb::is_method(), nb::scope(type), nb::name(name), args..., doc);
      };
  auto property = [&](const char* name, auto f, const char* doc) {
    nb::object getter = nb::cpp_function(
        f, nb::is_method(), nb::scope(type), nb::name(name), doc);
    nb::handle builtin(reinterpret_cast<PyObject*>(&PyProperty_Type));
    type.attr(name) = builtin(getter, nb::none(), nb::none(), doc);
  };
  auto stream = nb::arg("stream") = nb::none();
  auto kw = nb::kw_only();
  method(
      "reshape",
      [](const array& a, nb::args shape, const StreamOrDevice& s) {
        return wrap(reshape(a, unpacked<Shape>(shape), s));
      },
      "See treadle.core.reshape; the shape may also be given as several "
      "arguments.",
      nb::arg("shape"),
      kw,
      stream);
  method(
      "transpose",
      [](const array& a, nb::args axes, const StreamOrDevice& s) {
        if (axes.size() == 0 || (axes.size() == 1 && axes[0].is_none())) {
          return wrap(transpose(a, s));
        }
        return wrap(transpose(a, unpacked<Axes>(axes), s));
      },
      "See treadle.core.transpose; the axes may also be given as several "
      "arguments.",
      nb::arg("axes"),
      kw,
      stream);
  method(
      "flatten",
      [](const array& a, int start, int end, const StreamOrDevice& s) {
        return wrap(flatten(a, start, end, s));
      },
      "See treadle.core.flatten.",
      nb::arg("start_axis") = 0,
      nb::arg("end_axis") = -1,
      kw,
      stream);
  method(
      "squeeze",
      [](const array& a,
         const std::optional<AxisOrAxes>& axis,
         const StreamOrDevice& s) { return wrap(squeeze_any(a, axis, s)); },
      "See treadle.core.squeeze.",
      nb::arg("axis") = nb::none(),
      kw,
      stream);
  method(
      "swapaxes",
      [](const array& a, int axis1, int axis2, const StreamOrDevice& s) {
        return wrap(swapaxes(a, axis1, axis2, s));
      },
      "See treadle.core.swapaxes.",
      nb::arg("axis1"),
      nb::arg("axis2"),
      kw,
      stream);
  method(
      "moveaxis",
      [](const array& a, int source, int destination, const StreamOrDevice& s) {
        return wrap(moveaxis(a, source, destination, s));
      },
      "See treadle.core.moveaxis.",
      nb::arg("source"),
      nb::arg("destination"),
      kw,
      stream);
  method("split",
         &split_object,
         "See treadle.core.split.",
         nb::arg("indices_or_sections"),
         nb::arg("axis") = 0,
         kw,
         stream);
  method(
      "astype",
      [](const array& a, Dtype dtype, const StreamOrDevice& s) {
        return wrap(astype(a, dtype, s));
      },
      "The elements converted to a dtype.",
      nb::arg("dtype"),
      stream);
  property(
      "T",
      [](const array& a) { return wrap(transpose(a)); },
      "The axes reversed.");
  property(
      "mT",
      [](const array& a) { return wrap(matrix_transpose(a, {})); },
      "The last two axes swapped.");
}

}  // namespace

void bind_views(nb::module_& m) {
  bind_functions(m);
  bind_methods();
}

}  // namespace treadle::python
