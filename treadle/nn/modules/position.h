// Layers that say where a token stands. The formulas are in
// functional/position.h and ops/rope.h.
#pragma once

#include <optional>
#include <string>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// Rotary positions: features of the last axis turned in pairs, fast::rope.
struct RoPE : Module {
  explicit RoPE(int dims,
                bool traditional = false,
                double base = 10000,
                double scale = 1);
  TREADLE_MODULE(RoPE)

  // (B, ..., T, D) -> the same; positions count from offset.
  array operator()(const array& x, int offset = 0) const;
  std::string extra_repr() const override;

 private:
  int dims_;
  bool traditional_;
  double base_, scale_;
};

// sinusoidal_encoding: (...) -> (..., dims). Without a scale it is
// sqrt(2 / dims). Its frequencies are no parameters.
struct SinusoidalPositionalEncoding : Module {
  explicit SinusoidalPositionalEncoding(int dims,
                                        double min_freq = 1e-4,
                                        double max_freq = 1,
                                        std::optional<double> scale = {},
                                        bool cos_first = false,
                                        bool full_turns = false);
  TREADLE_MODULE(SinusoidalPositionalEncoding)

  array operator()(const array& x) const;

 private:
  array frequencies_;
  double scale_;
  bool cos_first_;
};

// Attention scores (B, H, T, S) that fall with distance; see alibi.
struct ALiBi : Module {
  TREADLE_MODULE(ALiBi)
  array operator()(const array& scores,
                   int offset = 0,
                   const array& mask = {}) const;
};

}  // namespace treadle::nn
