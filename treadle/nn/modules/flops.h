// What recorded work costs, before it is done.
#pragma once

#include <cstdint>

#include "treadle/graph/array.h"

namespace treadle::nn {

// Multiplications and additions of the matrix products, convolutions and
// attention that `results` depend on, of the nodes numbered from `since` on
// (next_seq() before they were recorded). Results that have been computed
// already have forgotten their work, unless they were made in a trace. All
// steps of a scan and the bodies of compiled functions count.
double flops(const Arrays& results, uint64_t since = 0);

}  // namespace treadle::nn
