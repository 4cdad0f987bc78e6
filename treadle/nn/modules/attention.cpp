#include "treadle/nn/modules/attention.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/linear.h"

namespace treadle::nn {

namespace {

int given_or(int given, int otherwise) { return given ? given : otherwise; }

}  // namespace

MultiHeadAttention::MultiHeadAttention(int dims,
                                       int num_heads,
                                       const AttentionDims& o,
                                       bool bias)
    : num_heads_(num_heads) {
  if (num_heads <= 0 || dims % num_heads != 0) {
    invalid("MultiHeadAttention",
            fmt::format("got {} features for {} heads; expected a multiple.",
                        dims,
                        num_heads));
  }
  const int key_input = given_or(o.key_input, dims);
  const int value = given_or(o.value, dims);
  query_proj = Linear(given_or(o.query_input, dims), dims, bias);
  key_proj = Linear(key_input, dims, bias);
  value_proj = Linear(given_or(o.value_input, key_input), value, bias);
  out_proj = Linear(value, given_or(o.value_output, dims), bias);
}

array MultiHeadAttention::operator()(const array& queries,
                                     const array& keys,
                                     const array& values,
                                     const Mask& mask) const {
  const Call call(*this);
  // In an order of our own, not the compiler's: sums of gradients have the same
  // bits as in Python.
  const array q = query_proj(queries), k = key_proj(keys),
              v = value_proj(values);
  return call(out_proj(multi_head_attention(q, k, v, num_heads_, mask)));
}

}  // namespace treadle::nn
