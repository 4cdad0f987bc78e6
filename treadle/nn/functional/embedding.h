// Embeddings: rows of a table, looked up by number.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/tree.h"

namespace treadle::nn {

// w[x]. x (...) integers in [-N, N), where a negative one counts from the end,
// w (N, D) -> (..., D). One outside throws std::out_of_range when the result is
// computed.
array embedding(const array& x, const array& w);

// {"weight": (num, dims)}, normal with standard deviation 1/sqrt(dims).
Tree embedding_init(int num, int dims, Dtype dtype = float32);

}  // namespace treadle::nn
