#include "treadle/nn/functional/position.h"

#include <cmath>
#include <numbers>
#include <vector>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

array sinusoidal_frequencies(int dims,
                             double min_freq,
                             double max_freq,
                             bool full_turns) {
  if (dims <= 0 || dims % 2 != 0) {
    invalid("SinusoidalPositionalEncoding",
            fmt::format("dims is {}; expected a positive even number.", dims));
  }
  const int n = dims / 2;
  const double low = std::log(min_freq), high = std::log(max_freq);
  array falling = n == 1 ? array({1.0f}) : 1 - arange(n, float32) / (n - 1);
  array f = exp(falling * (high - low) + low);
  return full_turns ? f * (2 * std::numbers::pi) : f;
}

array sinusoidal_encoding(const array& x,
                          const array& frequencies,
                          double scale,
                          bool cos_first) {
  array angles = expand_dims(x, -1) * frequencies;
  array s = sin(angles), c = cos(angles);
  array y = concatenate(cos_first ? Arrays{c, s} : Arrays{s, c}, -1);
  return scale == 1 ? y : y * scale;
}

namespace {

std::vector<double> slopes(int n) {
  int power = 1;
  while (2 * power <= n) power *= 2;
  std::vector<double> out;
  for (int i = 1; i <= power; ++i) out.push_back(std::exp2(-8.0 * i / power));
  // Every other slope of twice as many heads, from the first.
  for (int i = 1; int(out.size()) < n; i += 2) {
    out.push_back(std::exp2(-8.0 * i / (2 * power)));
  }
  return out;
}

}  // namespace

array alibi_slopes(int num_heads, Dtype dtype) {
  if (num_heads <= 0) {
    invalid("ALiBi",
            fmt::format("got {} heads; expected at least one.", num_heads));
  }
  std::vector<double> s = slopes(num_heads);
  return astype(array::from(s.data(), {num_heads, 1, 1}), dtype);
}

array alibi_matrix(
    int queries, int keys, int num_heads, int offset, Dtype dtype) {
  array from = expand_dims(arange(offset, queries), 1);
  array distance = negative(abs(from - arange(keys)));
  return astype(
      expand_dims(distance, Axes{0, 1}) * alibi_slopes(num_heads, dtype),
      dtype);
}

array alibi(const array& scores, int offset, const array& mask) {
  if (scores.ndim() != 4) {
    invalid("ALiBi",
            fmt::format("the scores are {}; expected (B, H, T, S).",
                        to_string(scores.spec())));
  }
  array m = alibi_matrix(int(scores.shape(2)) + offset,
                         int(scores.shape(3)),
                         int(scores.shape(1)),
                         offset,
                         scores.dtype());
  return scores + (mask.null() ? m : m + mask);
}

}  // namespace treadle::nn
