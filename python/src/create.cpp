// Arrays made from a shape or a range.
#include "treadle/ops/create.h"

#include <limits>

#include "treadle/base/error.h"
#include "treadle/ops/views.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

// A number of arange(); float() and int() only, as MLX takes them.
Scalar range_number(nb::handle h) {
  Scalar v = 0;
  if (!load_number(h.ptr(), &v) || v.kind() == Scalar::Kind::complex) {
    if (PyIndex_Check(h.ptr())) return Scalar(to_int(h));
    PyErr_Format(PyExc_TypeError,
                 "arange() got a %s; expected int or float.",
                 Py_TYPE(h.ptr())->tp_name);
    throw nb::python_error();
  }
  return v;
}

ArrayObject range(nb::handle start,
                  nb::handle stop,
                  nb::handle step,
                  std::optional<Dtype> dtype,
                  const StreamOrDevice& s) {
  Scalar by = step.is_none() ? Scalar(1) : range_number(step);
  // arange(n): the one bound given is the end.
  if (stop.is_none())
    return wrap(arange(Scalar(0), range_number(start), by, dtype, s));
  return wrap(arange(range_number(start), range_number(stop), by, dtype, s));
}

}  // namespace

void bind_create(nb::module_& m) {
  using Filled = array (*)(const Shape&, Dtype, StreamOrDevice);
  auto filled = [&](const char* name, Filled f, const char* doc) {
    m.def(
        name,
        [f](const IntOrShape& shape,
            std::optional<Dtype> dtype,
            const StreamOrDevice& s) {
          return wrap(f(shape.shape, dtype.value_or(float32), s));
        },
        nb::arg("shape"),
        nb::arg("dtype").none() = float32,
        nb::kw_only(),
        nb::arg("stream") = nb::none(),
        doc);
  };
  filled("zeros", &zeros, "Zeros of a shape.");
  filled("ones", &ones, "Ones of a shape.");
  filled("empty", &zeros, "Zeros of a shape: memory is never left unset.");

  auto filled_like = [&](const char* name, Filled f, const char* doc) {
    m.def(
        name,
        [f](const array& a,
            std::optional<Dtype> dtype,
            const StreamOrDevice& s) {
          return wrap(f(a.shape(), dtype.value_or(a.dtype()), s));
        },
        nb::arg("a"),
        nb::arg("dtype") = nb::none(),
        nb::kw_only(),
        nb::arg("stream") = nb::none(),
        doc);
  };
  filled_like("zeros_like", &zeros, "Zeros of an array's shape and dtype.");
  filled_like("ones_like", &ones, "Ones of an array's shape and dtype.");
  filled_like("empty_like", &zeros, "Zeros of an array's shape and dtype.");

  m.def(
      "full",
      [](const IntOrShape& shape,
         Operand& vals,
         std::optional<Dtype> dtype,
         const StreamOrDevice& s) {
        return wrap(full(shape.shape, vals, dtype, s));
      },
      nb::arg("shape"),
      nb::arg("vals"),
      nb::arg("dtype") = nb::none(),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "An array of a shape with one value, or with the "
      "elements of an array that broadcasts to it.");
  m.def(
      "full_like",
      [](const array& a,
         Operand& vals,
         std::optional<Dtype> dtype,
         const StreamOrDevice& s) {
        return wrap(full(a.shape(), vals, dtype.value_or(a.dtype()), s));
      },
      nb::arg("a"),
      nb::arg("vals"),
      nb::arg("dtype") = nb::none(),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "full() of an array's shape and dtype.");

  // arange(stop, step=, dtype=) and arange(start, stop, step, dtype).
  const char* doc =
      "start, start + step, ... below stop. int32 when all are integers, else "
      "float32.";
  m.def("arange",
        &range,
        nb::arg("start"),
        nb::arg("stop").none(),
        nb::arg("step") = nb::none(),
        nb::arg("dtype") = nb::none(),
        nb::kw_only(),
        nb::arg("stream") = nb::none(),
        doc);
  m.def(
      "arange",
      [](nb::handle stop,
         nb::handle step,
         std::optional<Dtype> dtype,
         const StreamOrDevice& s) {
        return range(stop, nb::none(), step, dtype, s);
      },
      nb::arg("stop"),
      nb::arg("step") = nb::none(),
      nb::arg("dtype") = nb::none(),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      doc);

  m.def(
      "eye",
      [](int n,
         std::optional<int> width,
         int k,
         std::optional<Dtype> dtype,
         const StreamOrDevice& s) {
        return wrap(eye(n, width.value_or(n), k, dtype.value_or(float32), s));
      },
      nb::arg("n"),
      nb::arg("m") = nb::none(),
      nb::arg("k") = 0,
      nb::arg("dtype").none() = float32,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "n x m (m = n when None) with ones on diagonal k, zeros elsewhere.");
  m.def(
      "identity",
      [](int n, std::optional<Dtype> dtype, const StreamOrDevice& s) {
        return wrap(eye(n, n, 0, dtype.value_or(float32), s));
      },
      nb::arg("n"),
      nb::arg("dtype").none() = float32,
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "The n x n identity matrix.");

  m.attr("e") = 2.718281828459045;
  m.attr("euler_gamma") = 0.5772156649015329;
  m.attr("pi") = 3.141592653589793;
  m.attr("inf") = std::numeric_limits<double>::infinity();
  m.attr("nan") = std::numeric_limits<double>::quiet_NaN();
  m.attr("newaxis") = nb::none();
}

}  // namespace treadle::python
