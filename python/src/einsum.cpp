// Sums of products in Einstein's notation.
#include "treadle/ops/einsum.h"

#include <string>
#include <utility>

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;

Arrays operands_of(const char* name, const nb::args& operands) {
  Arrays out;
  for (nb::handle h : operands) {
    Operand o;
    if (!load_operand(h.ptr(), &o)) {
      throw nb::type_error(("[" + std::string(name) + "] operand " +
                            std::to_string(out.size()) +
                            " is no array and no number.")
                               .c_str());
    }
    out.push_back(o.to_array());
  }
  return out;
}

}  // namespace

void bind_einsum(nb::module_& m) {
  m.def(
      "einsum",
      [](const std::string& subscripts, const nb::args& operands, const S& s) {
        return wrap(einsum(subscripts, operands_of("einsum", operands), s));
      },
      nb::arg("subscripts"),
      nb::arg("operands"),
      nb::kw_only(),
      nb::arg("stream") = nb::none(),
      "Products of the operands' elements, summed over the subscripts that are "
      "not behind '->': 'ij,jk->ik' is a matrix product, 'ii->' a trace. '...' "
      "stands for further axes, which broadcast. Without '->' the result has "
      "those and the subscripts that occur once, in alphabetical order.");
  m.def(
      "einsum_path",
      [](const std::string& subscripts, const nb::args& operands) {
        auto [path, text] =
            einsum_path(subscripts, operands_of("einsum_path", operands));
        nb::list steps;
        for (const std::vector<int>& step : path) {
          nb::list positions;
          for (int i : step) positions.append(i);
          steps.append(nb::tuple(positions));
        }
        return nb::make_tuple(steps, text);
      },
      nb::arg("subscripts"),
      nb::arg("operands"),
      "The order in which einsum contracts its operands, as positions in the "
      "list, from which they are taken while the result goes to the end; and a "
      "text that says what it costs.");
}

}  // namespace treadle::python
