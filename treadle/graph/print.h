// Arrays as text.
#pragma once

#include <iosfwd>

#include "treadle/graph/array.h"

namespace treadle {

// Evaluates x and writes it as Python does: array([1, 2.5], dtype=float32). Of
// a long axis the first and the last three elements are shown.
std::ostream& operator<<(std::ostream& out, const array& x);

// Digits after the point of printed numbers, 0 to 100; -1: six significant
// ones. Holds for the process; other numbers throw std::invalid_argument.
void set_print_precision(int digits);
int print_precision();

}  // namespace treadle
