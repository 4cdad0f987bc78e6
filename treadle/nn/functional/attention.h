// Multi-head attention between projected inputs.
#pragma once

#include <string_view>

#include "treadle/graph/array.h"

namespace treadle::nn {

// Which keys a query sees: all, those up to its own position ("causal"), or
// what an array says, true for a key that is seen or a number that is added to
// its score. Another word throws std::invalid_argument.
class Mask {
 public:
  Mask() = default;
  Mask(const array& a) : array_(a) {}
  Mask(std::string_view word);
  Mask(const char* word) : Mask(std::string_view(word)) {}

  std::string_view mode() const;  // as scaled_dot_product_attention takes it
  const array& values() const { return array_; }

 private:
  bool causal_ = false;
  array array_;
};

// Heads of softmax(q k^T / sqrt D) v, side by side. q (B, T, H D), k (B, S, H
// D), v (B, S, H E) -> (B, T, H E); a mask array broadcasts to (B, H, T, S).
// (Vaswani et al. 2017)
array multi_head_attention(const array& q,
                           const array& k,
                           const array& v,
                           int num_heads,
                           const Mask& mask = {});

// (n, n): 0 where a key is seen, the lowest finite number where it lies ahead.
array additive_causal_mask(int n, Dtype dtype = float32);

}  // namespace treadle::nn
