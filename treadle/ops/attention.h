// Scaled dot-product attention and its gradient.
#pragma once

#include <string_view>

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

enum class AttentionMask : uint8_t {
  none,
  causal,    // query i sees keys up to i + Tk - Tq: the last sees all
  boolean,   // an input: true where a key is seen
  additive,  // an input: added to the scores
};

// softmax(scale q k') v. Inputs q (B, H, Tq, D), k (B, Hk, Tk, D), v (B, Hk,
// Tk, Dv) of one floating dtype, H a multiple of Hk: head h reads h / (H / Hk);
// then a mask of four axes, each of length 1 or that of (B, H, Tq, Tk); then
// sinks (H,): a further score of each row, whose value is zero. Outputs
// (B, H, Tq, Dv) and, for the gradient, the logarithm of each row's sum of
// exponentials (B, H, Tq), float32 (float64 for float64).
struct Attention : Composite<Attention> {
  static constexpr std::string_view op_name = "scaled_dot_product_attention";
  double scale = 1;
  AttentionMask mask = AttentionMask::none;
  bool has_sinks = false;

  auto fields() const { return std::tie(scale, mask, has_sinks); }
  bool has_mask() const { return mask >= AttentionMask::boolean; }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_VJP
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
  Arrays expand(const Arrays& x) const override;
};

// Cotangents of the inputs `wrt` of Attention, ascending. Inputs: those of
// Attention, its two outputs, the cotangent of the first.
struct AttentionGrad : Composite<AttentionGrad> {
  static constexpr std::string_view op_name = "attention_grad";
  double scale = 1;
  AttentionMask mask = AttentionMask::none;
  bool has_sinks = false;
  Axes wrt;

  auto fields() const { return std::tie(scale, mask, has_sinks, wrt); }
  Attention forward() const;
  Specs infer(std::span<const Spec> in) const override;
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
  Arrays expand(const Arrays& x) const override;
};

namespace fast {

// softmax(scale q k' + mask) v over the last axis, for each head.
//
// q (B, H, Tq, D), k (B, Hk, Tk, D), v (B, Hk, Tk, Dv) -> (B, H, Tq, Dv); H is
// a multiple of Hk, and the heads of one group share keys and values. mask_mode
// is "", "causal" (the last query sees all keys) or "array"; the array
// broadcasts to (B, H, Tq, Tk) and is boolean (true: seen) or added to the
// scores. A row that sees no key is the mean of all values. sinks (H,): a score
// that takes part in the sum of each row and has no value. The result has the
// dtype in which q, k and v meet; scores and sums are float32 (float64 for
// float64). Throws std::invalid_argument when shapes or dtypes do not fit.
// (Vaswani et al. 2017; tiles as in Dao 2023)
array scaled_dot_product_attention(const array& q,
                                   const array& k,
                                   const array& v,
                                   double scale,
                                   std::string_view mask_mode = "",
                                   const array& mask = {},
                                   const array& sinks = {},
                                   StreamOrDevice s = {});

}  // namespace fast
}  // namespace treadle
