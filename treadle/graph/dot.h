// Recorded graphs as text for Graphviz.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

// Writes what `outputs` will be computed from, as far as it is not evaluated
// yet, in DOT: a box for each operation, a node for each array. Arrays are
// called as in `names`, else A, B, ... Evaluates nothing.
void export_to_dot(
    std::ostream& out,
    const Arrays& outputs,
    const std::vector<std::pair<array, std::string>>& names = {});

}  // namespace treadle
