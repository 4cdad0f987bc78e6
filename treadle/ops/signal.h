// Windows and one-dimensional convolution, as in signal processing.
#pragma once

#include <string>

#include "treadle/graph/array.h"

namespace treadle {

// Windows of m numbers, n = 0 ... m - 1; none when m < 1, one when m is 1.
// Bartlett: 1 - |2 n / (m - 1) - 1|.
array bartlett(int m, StreamOrDevice s = {});
// 0.42 - 0.5 cos(2 pi n / (m - 1)) + 0.08 cos(4 pi n / (m - 1)).
array blackman(int m, StreamOrDevice s = {});
// 0.54 - 0.46 cos(2 pi n / (m - 1)).
array hamming(int m, StreamOrDevice s = {});
// 0.5 - 0.5 cos(2 pi n / (m - 1)).
array hanning(int m, StreamOrDevice s = {});

// y[k] = sum_i a[i] v[k - i] of vectors a (N) and v (K), inexact; the shorter
// one is moved along the longer. `mode` "full": all N + K - 1 sums; "same": the
// max(N, K) in the middle; "valid": those without elements beyond the ends.
array convolve(const array& a,
               const array& v,
               const std::string& mode = "full",
               StreamOrDevice s = {});

}  // namespace treadle
