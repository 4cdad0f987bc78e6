// Rotary position embedding.
#pragma once

#include <optional>

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

// Pairs of features rotated by position times frequency. Inputs x (B, ..., T,
// D), offset int32 () or (B,), and, if has_freqs, float32 periods (dims / 2,).
// Its derivative is itself with `inverse` turned.
struct Rope : Composite<Rope> {
  static constexpr std::string_view op_name = "rope";
  int dims = 0;
  bool traditional = false;
  double base = 0;  // unless has_freqs
  double scale = 1;
  bool has_freqs = false;
  bool inverse = false;  // rotates backwards

  auto fields() const {
    return std::tie(dims, traditional, base, scale, has_freqs, inverse);
  }
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  TREADLE_JVP_VJP
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
  Arrays expand(const Arrays& x) const override;
};

namespace fast {

// x (B, ..., T, D) with the first `dims` features of the last axis rotated in
// pairs: pair i at position t turns by the angle (t + offset) scale / f_i,
// where f_i = base^(2i / dims), or freqs[i]. Traditional pairs are neighbours,
// (2i, 2i + 1); others are half a block apart, (i, i + dims / 2). The offset is
// one integer for all or one for each of the B examples, () or (B,). Exactly
// one of base and freqs (dims / 2,) must be given. The result has x's shape and
// dtype; half types are computed in float32. Throws std::invalid_argument for x
// with fewer than three axes or not floating, dims that are odd or outside (0,
// D], offsets and freqs of other shapes. (Su et al. 2021, equation 34)
array rope(const array& x,
           int dims,
           bool traditional,
           std::optional<double> base,
           double scale,
           const array& offset,
           const array& freqs = {},
           StreamOrDevice s = {});
array rope(const array& x,
           int dims,
           bool traditional,
           std::optional<double> base,
           double scale,
           int offset,
           const array& freqs = {},
           StreamOrDevice s = {});

}  // namespace fast
}  // namespace treadle
