// The Walsh-Hadamard transform.
#pragma once

#include <optional>

#include "treadle/graph/array.h"

namespace treadle {

// y (..., N) = scale H x along the last axis, H the Hadamard matrix of entries
// 1 and -1: of order m (Sloane's tables) with Sylvester's construction over it,
// N = m 2^k, m one of 1, 12, 20, 28. scale is 1 / sqrt(N) by default, so that
// scale H is orthonormal. Half types are computed in float32; integers become
// float32. Costs O(N sqrt(N)) in matrix products.
array hadamard_transform(const array& x,
                         std::optional<double> scale = {},
                         StreamOrDevice s = {});

}  // namespace treadle
