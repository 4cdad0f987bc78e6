#include "treadle/nn/modules/position.h"

#include <cmath>

#include <fmt/format.h>

#include "treadle/nn/functional/position.h"
#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/repr.h"
#include "treadle/ops/rope.h"

namespace treadle::nn {

RoPE::RoPE(int dims, bool traditional, double base, double scale)
    : dims_(dims), traditional_(traditional), base_(base), scale_(scale) {}

array RoPE::operator()(const array& x, int offset) const {
  const Call call(*this);
  return call(fast::rope(x, dims_, traditional_, base_, scale_, offset));
}

std::string RoPE::extra_repr() const {
  return fmt::format("{}, traditional={}", dims_, python(traditional_));
}

SinusoidalPositionalEncoding::SinusoidalPositionalEncoding(
    int dims,
    double min_freq,
    double max_freq,
    std::optional<double> scale,
    bool cos_first,
    bool full_turns)
    : frequencies_(
          sinusoidal_frequencies(dims, min_freq, max_freq, full_turns)),
      scale_(scale.value_or(std::sqrt(2.0 / dims))),
      cos_first_(cos_first) {}

array SinusoidalPositionalEncoding::operator()(const array& x) const {
  const Call call(*this);
  return call(sinusoidal_encoding(x, frequencies_, scale_, cos_first_));
}

array ALiBi::operator()(const array& scores,
                        int offset,
                        const array& mask) const {
  const Call call(*this);
  return call(alibi(scores, offset, mask));
}

}  // namespace treadle::nn
