// CUDA source that every generated kernel starts with: the types of lanes and
// memory, the vocabulary vm:: of the row table, reductions, and one function
// for each row that a tape uses, printed from elementwise.def.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "treadle/ops/elementwise.h"
#include "treadle/plan/tape.h"

namespace treadle::backend::cuda {

// In the order in which a kernel has them. None includes a header: NVRTC needs
// no search path and has little to parse.
extern const std::string_view kDeviceText;  // types, conversions, vm:: of reals
extern const std::string_view kComplexText;  // vm:: of complex64
extern const std::string_view kReduceText;   // reductions, loads and stores

// row::NAME for each of `rows`.
std::string row_functions(const std::set<Row>& rows);

// The device's name of an element in memory and of a lane: "f16", "i32".
std::string_view storage_name(Dtype t);
std::string_view lane_name(plan::Lane lane);

}  // namespace treadle::backend::cuda
