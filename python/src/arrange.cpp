// Functions that order, repeat and pick elements by position.
#include "treadle/ops/arrange.h"

#include <string>

#include "treadle/base/error.h"
#include "treadle/ops/views.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;

double to_double(const Operand& x) {
  return x.is_number() ? x.number.real() : x.as_array().item<double>();
}

void bind_matrices(nb::module_& m) {
  auto a = nb::arg("a");
  auto stream = nb::arg("stream") = nb::none();
  auto kw = nb::kw_only();
  m.def(
      "tri",
      [](int n,
         std::optional<int> width,
         int k,
         std::optional<Dtype> dtype,
         const S& s) {
        return wrap(tri(n, width.value_or(n), k, dtype.value_or(float32), s));
      },
      nb::arg("n"),
      nb::arg("m") = nb::none(),
      nb::arg("k") = 0,
      nb::arg("dtype") = nb::none(),
      kw,
      stream,
      "n x m (m = n when None), ones on and below diagonal k.");
  m.def(
      "tril",
      [](const array& x, int k, const S& s) { return wrap(tril(x, k, s)); },
      nb::arg("x"),
      nb::arg("k") = 0,
      kw,
      stream,
      "x with zeros above diagonal k.");
  m.def(
      "triu",
      [](const array& x, int k, const S& s) { return wrap(triu(x, k, s)); },
      nb::arg("x"),
      nb::arg("k") = 0,
      kw,
      stream,
      "x with zeros below diagonal k.");
  auto diag_any = [](const array& x, int k, const S& s) {
    return wrap(diag(x, k, s));
  };
  auto diagonal_any =
      [](const array& x, int offset, int axis1, int axis2, const S& s) {
        return wrap(diagonal(x, offset, axis1, axis2, s));
      };
  const char* diag_doc =
      "A matrix with the vector a on diagonal k, or that diagonal of a matrix.";
  const char* diagonal_doc =
      "The elements [i, i + offset] of two axes, as a last axis.";
  auto offset = nb::arg("offset") = 0, axis1 = nb::arg("axis1") = 0,
       axis2 = nb::arg("axis2") = 1, k = nb::arg("k") = 0;
  m.def("diag", diag_any, a, k, kw, stream, diag_doc);
  m.def(
      "diagonal", diagonal_any, a, offset, axis1, axis2, stream, diagonal_doc);
  nb::handle type(reinterpret_cast<PyObject*>(array_type));
  type.attr("diag") = nb::cpp_function(diag_any,
                                       nb::is_method(),
                                       nb::scope(type),
                                       nb::name("diag"),
                                       k,
                                       kw,
                                       stream,
                                       diag_doc);
  type.attr("diagonal") = nb::cpp_function(diagonal_any,
                                           nb::is_method(),
                                           nb::scope(type),
                                           nb::name("diagonal"),
                                           offset,
                                           axis1,
                                           axis2,
                                           stream,
                                           diagonal_doc);
  m.def(
      "trace",
      [](const array& x,
         int offset,
         int axis1,
         int axis2,
         std::optional<Dtype> dtype,
         const S& s) {
        return wrap(
            trace(dtype ? astype(x, *dtype, s) : x, offset, axis1, axis2, s));
      },
      a,
      offset,
      axis1,
      axis2,
      nb::arg("dtype") = nb::none(),
      kw,
      stream,
      "Sum of a diagonal, in a dtype if one is given.");
}

void bind_diff(nb::module_& m) {
  auto a = nb::arg("a");
  auto stream = nb::arg("stream") = nb::none();
  auto kw = nb::kw_only();
  m.def(
      "diff",
      [](const array& x, int n, int axis, const S& s) {
        return wrap(diff(x, n, axis, s));
      },
      a,
      nb::arg("n") = 1,
      nb::arg("axis") = -1,
      kw,
      stream,
      "Differences of neighbours along an axis, taken n times.");
}

}  // namespace

void bind_arrange(nb::module_& m) {
  bind_matrices(m);
  bind_diff(m);
  auto a = nb::arg("a");
  auto stream = nb::arg("stream") = nb::none();
  auto kw = nb::kw_only();
  m.def(
      "linspace",
      [](Operand& start,
         Operand& stop,
         std::optional<int> num,
         bool endpoint,
         std::optional<Dtype> dtype,
         const S& s) {
        return wrap(linspace(to_double(start),
                             to_double(stop),
                             num.value_or(50),
                             endpoint,
                             dtype.value_or(float32),
                             s));
      },
      nb::arg("start"),
      nb::arg("stop"),
      nb::arg("num").none() = 50,
      nb::arg("endpoint") = true,
      nb::arg("dtype").none() = float32,
      stream,
      "num numbers from start to stop, which is the last one when endpoint.");
  m.def(
      "flip",
      [](const array& x, const AxisArg& axis, const S& s) {
        return wrap(flip(x, axis, s));
      },
      a,
      nb::arg("axis") = nb::none(),
      kw,
      stream,
      "The elements in reverse along axes; along all when none is given.");
  m.def(
      "roll",
      [](const array& x,
         const IntOrShape& shift,
         const std::optional<AxisOrAxes>& axis,
         const S& s) {
        return wrap(roll(x, shift.shape, axis ? axis->axes : Axes{}, s));
      },
      a,
      nb::arg("shift"),
      nb::arg("axis") = nb::none(),
      kw,
      stream,
      "The elements moved on along axes; those that leave come in at the other "
      "end. None: of the flattened array.");
  m.def(
      "repeat",
      [](const array& x, int repeats, std::optional<int> axis, const S& s) {
        return wrap(axis ? repeat(x, repeats, *axis, s)
                         : repeat(x, repeats, s));
      },
      nb::arg("array"),
      nb::arg("repeats"),
      nb::arg("axis") = nb::none(),
      kw,
      stream,
      "Each slice along an axis, or each element, several times.");
  m.def(
      "tile",
      [](const array& x, const IntOrShape& reps, const S& s) {
        return wrap(tile(x, reps.shape, s));
      },
      a,
      nb::arg("reps"),
      kw,
      stream,
      "The array reps[i] times along axis i.");
  m.def(
      "unstack",
      [](const array& x, int axis, const S& s) {
        return nb::tuple(nb::cast(unstack(x, axis, s)));
      },
      nb::arg("x"),
      kw,
      nb::arg("axis") = 0,
      stream,
      "The slices along an axis, without it.");
  m.def(
      "meshgrid",
      [](nb::args arrays,
         bool sparse,
         const std::string& indexing,
         const S& s) {
        return nb::tuple(
            nb::cast(meshgrid(nb::cast<Arrays>(arrays), sparse, indexing, s)));
      },
      nb::arg("arrays"),
      kw,
      nb::arg("sparse") = false,
      nb::arg("indexing") = "xy",
      stream,
      "Vectors as coordinates of a grid, each along an axis of its own.");
  using AtLeast = array (*)(const array&, S);
  auto at_least = [&](const char* name, AtLeast f, const char* doc) {
    m.def(
        name,
        [f](nb::args arrays, const S& s) -> nb::object {
          Arrays out;
          for (const array& x : nb::cast<Arrays>(arrays))
            out.push_back(f(x, s));
          return out.size() == 1 ? wrap(out[0]) : nb::cast(out);
        },
        nb::arg("arys"),
        kw,
        stream,
        doc);
  };
  at_least("atleast_1d", &atleast_1d, "Arrays with one axis or more.");
  at_least("atleast_2d", &atleast_2d, "Arrays with two axes or more.");
  at_least("atleast_3d", &atleast_3d, "Arrays with three axes or more.");
}

}  // namespace treadle::python
