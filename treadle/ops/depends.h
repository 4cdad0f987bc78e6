// Order between arrays that share no data.
#pragma once

#include "treadle/graph/record.h"

namespace treadle {

// Each of x unchanged, but not before `dependencies` have their values.
// Gradients pass to x alone.
Arrays depends(const Arrays& x,
               const Arrays& dependencies,
               StreamOrDevice s = {});

}  // namespace treadle
