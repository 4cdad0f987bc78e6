// Numbers and flags as Python prints them, for extra_repr().
#pragma once

#include <string>

#include "treadle/base/shape.h"

namespace treadle::nn {

inline const char* python(bool v) { return v ? "True" : "False"; }
std::string python(double v);        // "0.1", "1e-05", "1.0"
std::string python(const Shape& v);  // "(2,)", "(2, 3)"; -1 is None

}  // namespace treadle::nn
