// What a tape means, in plain C++ and slowly: one loop per value over one row.
#pragma once

#include <complex>
#include <span>
#include <vector>

#include "treadle/plan/tape.h"
#include "treadle/runtime/kernel.h"

namespace treadle::gpu_smoke {

enum class Precision {
  lanes,  // float32 in float, float64 in double: single operations
  wider,  // float32 in double, float64 in long double: whole tapes
};

// The elements of one output before they are rounded to its dtype. Integers are
// exact in a long double.
using Expected = std::vector<std::complex<long double>>;

// `in` are arrays in host memory, of the space's shape.
std::vector<Expected> evaluate(const plan::Tape& tape,
                               const Shape& space,
                               std::span<const runtime::Operand> in,
                               Precision precision);

}  // namespace treadle::gpu_smoke
