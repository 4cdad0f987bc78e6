// Sums of products in Einstein's notation.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

// Each operand has a subscript for each of its axes; the result has those
// behind
// "->", and the products are summed over all others: "ij,jk->ik" is a matrix
// product, "ii->" a trace, "ij->ji" a transpose. A repeated subscript in one
// operand takes its diagonal. "..." stands for further axes, which broadcast;
// axes of length 1 do too. Without "->" the result has the axes of "..." and
// the subscripts that occur once, in alphabetical order (upper case first).
//
// Operands are contracted two at a time, each pair by one matrix product, or an
// elementwise one where nothing is summed; integers and bools are multiplied
// and summed as such. Throws std::invalid_argument when the subscripts do not
// fit.
array einsum(const std::string& subscripts,
             const Arrays& operands,
             StreamOrDevice s = {});

// The order of these contractions, and a text that says what it costs:
// positions in the list of operands, from which they are taken, while the
// result goes to the end. Of up to 10 operands the order with the fewest
// multiplications, of more a good one.
std::pair<std::vector<std::vector<int>>, std::string> einsum_path(
    const std::string& subscripts, const Arrays& operands);

}  // namespace treadle
