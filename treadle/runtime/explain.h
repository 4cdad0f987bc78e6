// Plans shown to people: what an eval of these arrays would run, and why
// neighbours were not fused. Nothing is computed.
#pragma once

#include <span>
#include <string>

#include "treadle/graph/array.h"

namespace treadle {

// One step a line: the op or fused ops, what it reads and writes, with the
// module path where there is one. Empty when everything is evaluated.
std::string plan_text(std::span<const array> arrays);
// The same as a graph for graphviz.
std::string plan_dot(std::span<const array> arrays);

}  // namespace treadle
