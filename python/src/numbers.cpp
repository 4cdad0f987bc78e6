// Elementwise functions that are a few rows each.
#include "treadle/ops/numbers.h"

#include <optional>

#include "treadle/ops/views.h"

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;

// Both as arrays; a number or a foreign array takes the other's dtype.
std::pair<array, array> both_arrays(const Operand& a, const Operand& b) {
  bool weak_a = a.kind != Operand::Kind::array;
  bool weak_b = b.kind != Operand::Kind::array;
  array x = a.to_array(weak_a && !weak_b ? std::optional(b.as_array().dtype())
                                         : std::nullopt);
  array y = b.to_array(weak_b && !weak_a ? std::optional(a.as_array().dtype())
                                         : std::nullopt);
  return {x, y};
}

void bind_unary(nb::module_& m,
                const char* name,
                array (*f)(const array&, S),
                const char* doc) {
  m.def(
      name,
      [f](Operand& a, const S& s) { return wrap(f(a.to_array(), s)); },
      nb::arg("a"),
      nb::arg("stream") = nb::none(),
      doc);
}

}  // namespace

void bind_numbers(nb::module_& m) {
  auto stream = nb::arg("stream") = nb::none();
  bind_unary(m, "isnan", &isnan, "True where NaN, elementwise.");
  bind_unary(m, "isinf", &isinf, "True where infinite, elementwise.");
  bind_unary(m, "isposinf", &isposinf, "True where +infinity, elementwise.");
  bind_unary(m, "isneginf", &isneginf, "True where -infinity, elementwise.");
  bind_unary(m,
             "isfinite",
             &isfinite,
             "True where neither NaN nor infinite, elementwise.");
  bind_unary(m, "trunc", &trunc, "The integer towards 0, elementwise.");
  bind_unary(m, "degrees", &degrees, "Radians to degrees, elementwise.");
  bind_unary(m, "radians", &radians, "Degrees to radians, elementwise.");
  m.def(
      "positive",
      [](Operand& a, const S&) { return wrap(a.to_array()); },
      nb::arg("a"),
      stream,
      "The same values: +a.");
  m.def(
      "round",
      [](Operand& a, int decimals, const S& s) {
        return wrap(round(a.to_array(), decimals, s));
      },
      nb::arg("a"),
      nb::arg("decimals") = 0,
      stream,
      "a to `decimals` digits after the point, ties to even; negative counts "
      "digits before it.");
  nb::handle type(reinterpret_cast<PyObject*>(array_type));
  type.attr("round") = nb::cpp_function(
      [](const array& a, int decimals, const S& s) {
        return wrap(round(a, decimals, s));
      },
      nb::is_method(),
      nb::scope(type),
      nb::name("round"),
      nb::arg("decimals") = 0,
      nb::kw_only(),
      stream,
      "See treadle.core.round.");
  m.def(
      "clip",
      [](Operand& a,
         std::optional<Operand> low,
         std::optional<Operand> high,
         const S& s) {
        auto bound = [](std::optional<Operand>& b) {
          return b ? std::optional<Term>(*b) : std::nullopt;
        };
        return wrap(clip(a, bound(low), bound(high), s));
      },
      nb::arg("a"),
      nb::arg("a_min").none(),
      nb::arg("a_max").none(),
      nb::kw_only(),
      stream,
      "a, but at least a_min and at most a_max; None does not bind.");
  m.def(
      "divmod",
      [](Operand& a, Operand& b, const S& s) {
        return Arrays{apply(Row::floor_divide, a, b, s),
                      apply(Row::remainder, a, b, s)};
      },
      nb::arg("a"),
      nb::arg("b"),
      stream,
      "Quotient rounded down, and remainder.");
  m.def(
      "logical_xor",
      [](Operand& a, Operand& b, const S& s) {
        return wrap(logical_xor(a, b, s));
      },
      nb::arg("a"),
      nb::arg("b"),
      stream,
      "True where exactly one is true, elementwise.");
  m.def(
      "nan_to_num",
      [](Operand& a,
         double nan,
         std::optional<double> posinf,
         std::optional<double> neginf,
         const S& s) {
        return wrap(nan_to_num(a.to_array(), nan, posinf, neginf, s));
      },
      nb::arg("a"),
      nb::arg("nan") = 0.0,
      nb::arg("posinf") = nb::none(),
      nb::arg("neginf") = nb::none(),
      nb::kw_only(),
      stream,
      "a with NaN and the infinities replaced; infinities by default by the "
      "largest finite numbers.");
  using Close = array (*)(const array&, const array&, double, double, bool, S);
  auto close = [&](const char* name, Close f, const char* doc) {
    m.def(
        name,
        [f](Operand& a,
            Operand& b,
            double rtol,
            double atol,
            bool equal_nan,
            const S& s) {
          auto [x, y] = both_arrays(a, b);
          return wrap(f(x, y, rtol, atol, equal_nan, s));
        },
        nb::arg("a"),
        nb::arg("b"),
        nb::arg("rtol") = 1e-5,
        nb::arg("atol") = 1e-8,
        nb::kw_only(),
        nb::arg("equal_nan") = false,
        stream,
        doc);
  };
  close(
      "isclose",
      &isclose,
      "True where |a - b| <= atol + rtol |b|, or both are the same infinity.");
  close("allclose", &allclose, "True when isclose holds everywhere.");
  m.def(
      "array_equal",
      [](Operand& a, Operand& b, bool equal_nan, const S& s) {
        auto [x, y] = both_arrays(a, b);
        return wrap(array_equal(x, y, equal_nan, s));
      },
      nb::arg("a"),
      nb::arg("b"),
      nb::arg("equal_nan") = false,
      stream,
      "True when shapes and all elements are equal.");
}

}  // namespace treadle::python
