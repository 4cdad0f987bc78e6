// Where a token stands: sinusoidal features, and scores that fall with
// distance. Rotary features are treadle::fast::rope (ops/rope.h).
#pragma once

#include "treadle/graph/array.h"

namespace treadle::nn {

// (dims / 2,): frequencies falling geometrically from max_freq to min_freq,
// times 2 pi with full_turns. Throws std::invalid_argument unless dims is
// positive and even.
array sinusoidal_frequencies(int dims,
                             double min_freq = 1e-4,
                             double max_freq = 1,
                             bool full_turns = false);

// scale [sin(x f), cos(x f)] for all frequencies f, cosines first if asked.
// x (...), frequencies (F,) -> (..., 2 F). (Vaswani et al. 2017)
array sinusoidal_encoding(const array& x,
                          const array& frequencies,
                          double scale,
                          bool cos_first = false);

// (heads, 1, 1): for a power of two heads 2^(-8 i / heads), i from 1; for
// others those of the power below, and every other one of the power above.
array alibi_slopes(int num_heads, Dtype dtype = float32);

// (1, H, queries - offset, keys): minus the slope times the distance between a
// query, which count from offset, and a key. (Press et al. 2022)
array alibi_matrix(int queries,
                   int keys,
                   int num_heads,
                   int offset = 0,
                   Dtype dtype = float32);

// scores (B, H, T, S) plus that matrix, and plus a mask unless it is null.
array alibi(const array& scores, int offset = 0, const array& mask = {});

}  // namespace treadle::nn
