// Dropout.
#pragma once

#include "treadle/graph/array.h"

namespace treadle::nn {

// Each element is zeroed with probability p in [0, 1), the others are divided
// by 1 - p, so that the expected value stays. A null key means the default one.
array dropout(const array& x, double p = 0.5, const array& key = {});

// Whole channels: of each image x (..., H, W, C), or volume (..., D, H, W, C),
// with or without a batch axis in front.
array dropout2d(const array& x, double p = 0.5, const array& key = {});
array dropout3d(const array& x, double p = 0.5, const array& key = {});

}  // namespace treadle::nn
