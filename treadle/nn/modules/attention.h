// MultiHeadAttention.
#pragma once

#include "treadle/nn/functional/attention.h"
#include "treadle/nn/modules/unary.h"

namespace treadle::nn {

struct AttentionDims {
  // Lengths of the last axes; 0 means: as dims, values as keys.
  int query_input = 0, key_input = 0, value_input = 0;
  int value = 0, value_output = 0;
};

// Projections of queries, keys and values, multi_head_attention between them,
// and a projection of the result. num_heads must divide dims, else throws
// std::invalid_argument.
struct MultiHeadAttention : Module {
  MultiHeadAttention(int dims,
                     int num_heads,
                     const AttentionDims& others = {},
                     bool bias = false);

  Unary query_proj, key_proj, value_proj, out_proj;  // Linear
  TREADLE_MODULE(MultiHeadAttention, query_proj, key_proj, value_proj, out_proj)

  // (B, T, query_input), (B, S, key_input), (B, S, value_input) -> (B, T,
  // value_output)
  array operator()(const array& queries,
                   const array& keys,
                   const array& values,
                   const Mask& mask = {}) const;
  // Self-attention.
  array operator()(const array& x, const Mask& mask = {}) const {
    return (*this)(x, x, x, mask);
  }

 private:
  int num_heads_;
};

}  // namespace treadle::nn
