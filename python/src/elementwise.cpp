// The elementwise operations, one function for each row of elementwise.def.
#include "treadle/ops/elementwise.h"

#include <string>
#include <utility>

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

// Other names of rows, of MLX and of the array API standard.
constexpr std::pair<const char*, Row> kAliases[] = {
    {"acos", Row::arccos},
    {"acosh", Row::arccosh},
    {"asin", Row::arcsin},
    {"asinh", Row::arcsinh},
    {"atan", Row::arctan},
    {"atanh", Row::arctanh},
    {"atan2", Row::arctan2},
    {"conj", Row::conjugate},
    {"pow", Row::power},
    {"bitwise_left_shift", Row::left_shift},
    {"bitwise_right_shift", Row::right_shift},
};

// Rows that are methods of array too, under their names or MLX's.
constexpr std::pair<const char*, Row> kMethods[] = {
    {"abs", Row::abs},
    {"square", Row::square},
    {"sqrt", Row::sqrt},
    {"rsqrt", Row::rsqrt},
    {"exp", Row::exp},
    {"reciprocal", Row::reciprocal},
    {"log", Row::log},
    {"log2", Row::log2},
    {"log10", Row::log10},
    {"log1p", Row::log1p},
    {"sin", Row::sin},
    {"cos", Row::cos},
    {"conj", Row::conjugate},
};

void bind_row(nb::module_& m, const char* name, Row row) {
  const char* doc = info(row).doc.data();
  auto a = nb::arg("a");
  auto b = nb::arg("b");
  auto stream = nb::arg("stream") = nb::none();
  switch (info(row).arity) {
    case 1:
      m.def(
          name,
          [row](Operand& x, const StreamOrDevice& s) {
            return wrap(apply(row, x, s));
          },
          a,
          stream,
          doc);
      break;
    case 2:
      m.def(
          name,
          [row](Operand& x, Operand& y, const StreamOrDevice& s) {
            return wrap(apply(row, x, y, s));
          },
          a,
          b,
          stream,
          doc);
      break;
    default:
      m.def(
          name,
          [row](Operand& c, Operand& x, Operand& y, const StreamOrDevice& s) {
            return wrap(apply(row, c, x, y, s));
          },
          nb::arg("condition"),
          nb::arg("x"),
          nb::arg("y"),
          stream,
          doc);
  }
}

}  // namespace

void bind_elementwise(nb::module_& m) {
  for (int i = 0; i < kNumRows; ++i)
    bind_row(m, kRows[i].name.data(), static_cast<Row>(i));
  for (auto [name, row] : kAliases) bind_row(m, name, row);
  bind_row(m, "where", Row::select);

  nb::handle type(reinterpret_cast<PyObject*>(array_type));
  for (auto [name, row] : kMethods) {
    type.attr(name) = nb::cpp_function(
        [row = row](const array& x, const StreamOrDevice& s) {
          const Term term = x;
          return wrap(apply_row(row, std::span<const Term>(&term, 1), s));
        },
        nb::is_method(),
        nb::scope(type),
        nb::name(name),
        nb::kw_only(),
        nb::arg("stream") = nb::none(),
        info(row).doc.data());
  }
}

}  // namespace treadle::python
