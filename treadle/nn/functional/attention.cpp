#include "treadle/nn/functional/attention.h"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/attention.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

Mask::Mask(std::string_view word) : causal_(word == "causal") {
  if (causal_ || word.empty()) return;
  invalid("attention",
          fmt::format("the mask is '{}'; expected 'causal', an array or "
                      "nothing.",
                      word));
}

std::string_view Mask::mode() const {
  return causal_ ? "causal" : array_.null() ? "" : "array";
}

array multi_head_attention(const array& q,
                           const array& k,
                           const array& v,
                           int num_heads,
                           const Mask& mask) {
  for (const array* x : {&q, &k, &v}) {
    if (x->ndim() == 3 && num_heads > 0 && x->shape(2) % num_heads == 0) {
      continue;
    }
    invalid("multi_head_attention",
            fmt::format("got {}; expected (B, T, C) with C divisible by {} "
                        "heads.",
                        to_string(x->spec()),
                        num_heads));
  }
  auto heads = [&](const array& x) {  // (B, T, H D) -> (B, H, T, D)
    return transpose(unflatten(x, -1, {num_heads, -1}), {0, 2, 1, 3});
  };
  const double scale = 1 / std::sqrt(double(q.shape(2)) / num_heads);
  array y = fast::scaled_dot_product_attention(
      heads(q), heads(k), heads(v), scale, mask.mode(), mask.values());
  return flatten(transpose(y, {0, 2, 1, 3}), 2, 3);
}

namespace {

double lowest_of(Dtype dtype) {
  switch (dtype) {
    case float16:
      return -65504;
    case bfloat16:
      return -0x1.fep127;
    case float64:
      return -std::numeric_limits<double>::max();
    default:
      return -double(std::numeric_limits<float>::max());
  }
}

}  // namespace

array additive_causal_mask(int n, Dtype dtype) {
  array at = arange(n);
  array ahead = less(expand_dims(at, 1), at);
  return select(ahead, array(lowest_of(dtype), dtype), array(Scalar(0), dtype));
}

}  // namespace treadle::nn
