// Pooling to a given size, whatever the input's.
#pragma once

#include "treadle/graph/array.h"

namespace treadle::nn {

// x (N, ..., C) with 1 to 3 spatial axes -> (N, size..., C): element i of an
// axis is the mean, or the largest, of the elements from floor(i n / size) to
// ceil((i + 1) n / size). `size` has one entry for each spatial axis or one for
// all; -1 keeps an axis. Throws std::invalid_argument for other sizes below 1.
array adaptive_avg_pool(const array& x, const Shape& size);
array adaptive_max_pool(const array& x, const Shape& size);

}  // namespace treadle::nn
