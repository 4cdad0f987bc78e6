// Views of the bytes of an array; windows and convolution of vectors.
#include "treadle/ops/reinterpret.h"

#include <string>

#include <nanobind/stl/string.h>

#include "treadle/ops/fp8.h"
#include "treadle/ops/signal.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;

void bind_windows(nb::module_& m) {
  auto window = [&](const char* name, array (*f)(int, S), const char* doc) {
    m.def(
        name,
        [f](int n, const S& s) { return wrap(f(n, s)); },
        nb::arg("M"),
        nb::kw_only(),
        nb::arg("stream") = nb::none(),
        doc);
  };
  window("bartlett", &bartlett, "1 - |2 n / (M - 1) - 1|, M numbers.");
  window("blackman",
         &blackman,
         "0.42 - 0.5 cos(2 pi n / (M - 1)) + 0.08 cos(4 pi n / (M - 1)), M "
         "numbers.");
  window("hamming", &hamming, "0.54 - 0.46 cos(2 pi n / (M - 1)), M numbers.");
  window("hanning", &hanning, "0.5 - 0.5 cos(2 pi n / (M - 1)), M numbers.");
  m.def(
      "convolve",
      [](const array& a, const array& v, const std::string& mode, const S& s) {
        return wrap(convolve(a, v, mode, s));
      },
      nb::arg("a"),
      nb::arg("v"),
      nb::arg("mode") = "full",
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "out[k] = sum_i a[i] v[k - i] of two vectors; mode 'full', 'same' or "
      "'valid'.");
}

}  // namespace

void bind_reinterpret(nb::module_& m) {
  bind_windows(m);
  auto stream = nb::arg("stream") = nb::none();
  auto kw = nb::kw_only();
  nb::handle type(reinterpret_cast<PyObject*>(array_type));
  const char* view_doc =
      "The bits as another dtype; the last axis gets longer or shorter where "
      "the sizes of elements differ.";
  m.def(
      "view",
      [](Operand& a, Dtype dtype, const S& s) {
        return wrap(view(a.to_array(), dtype, s));
      },
      nb::arg("a"),
      nb::arg("dtype"),
      stream,
      view_doc);
  type.attr("view") = nb::cpp_function(
      [](const array& a, Dtype dtype, const S& s) {
        return wrap(view(a, dtype, s));
      },
      nb::is_method(),
      nb::scope(type),
      nb::name("view"),
      nb::arg("dtype"),
      kw,
      stream,
      view_doc);
  auto part =
      [&](const char* name, array (*f)(const array&, S), const char* doc) {
        m.def(
            name,
            [f](Operand& a, const S& s) { return wrap(f(a.to_array(), s)); },
            nb::arg("a"),
            kw,
            stream,
            doc);
        nb::object get =
            nb::cpp_function([f](const array& a) { return wrap(f(a, {})); },
                             nb::is_method(),
                             nb::scope(type),
                             nb::name(name),
                             doc);
        type.attr(name) =
            nb::handle(reinterpret_cast<PyObject*>(&PyProperty_Type))(get);
      };
  part("real", &real, "The real part, elementwise.");
  part("imag", &imag, "The imaginary part, elementwise; 0 of real numbers.");
  m.def(
      "as_strided",
      [](const array& a,
         std::optional<Shape> shape,
         std::optional<Shape> strides,
         int64_t offset,
         const S& s) {
        return wrap(
            as_strided(a, std::move(shape), std::move(strides), offset, s));
      },
      nb::arg("a"),
      nb::arg("shape") = nb::none(),
      nb::arg("strides") = nb::none(),
      nb::arg("offset") = 0,
      kw,
      stream,
      "The flattened array along strides of elements; reading outside of it "
      "is an error.");
  m.def(
      "to_fp8",
      [](const array& x, const S& s) { return wrap(to_fp8(x, s)); },
      nb::arg("x"),
      kw,
      stream,
      "Floating numbers as fp8 (e4m3) in uint8, rounded to the nearest, ties "
      "to even; beyond 448 it is 448.");
  m.def(
      "from_fp8",
      [](const array& x, Dtype dtype, const S& s) {
        return wrap(from_fp8(x, dtype, s));
      },
      nb::arg("x"),
      nb::arg("dtype") = dtype_object(bfloat16),
      kw,
      stream,
      "The numbers that fp8 (e4m3) in uint8 stands for.");
}

}  // namespace treadle::python
