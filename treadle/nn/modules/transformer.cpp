#include "treadle/nn/modules/transformer.h"

#include "treadle/base/error.h"
#include "treadle/nn/modules/linear.h"
#include "treadle/ops/elementwise.h"
#include "treadle/transforms/checkpoint.h"

namespace treadle::nn {

namespace {

int mlp_dims(int dims, const TransformerOptions& o) {
  return o.mlp_dims ? o.mlp_dims : 4 * dims;
}

const std::function<array(const array&)>& activation(
    const TransformerOptions& o) {
  if (!o.activation)
    invalid("transformer", "the activation is an empty function.");
  return o.activation;
}

// x + f(norm(x)), or norm(x + f(x)).
template <class F>
array block(const array& x, const LayerNorm& norm, bool norm_first, F f) {
  return norm_first ? x + f(norm(x)) : norm(x + f(x));
}

// f(x), or a checkpoint of it.
template <class F>
array run_layer(const array& x, bool checkpointed, const F& f) {
  if (!checkpointed) return f(x);
  return treadle::checkpoint(
      [f](const Arrays& in) { return Arrays{f(in[0])}; })({x})[0];
}

}  // namespace

TransformerEncoderLayer::TransformerEncoderLayer(int dims,
                                                 int num_heads,
                                                 const TransformerOptions& o)
    : attention(dims, num_heads, {}, o.attention_bias),
      ln1(dims),
      ln2(dims),
      linear1(Linear(dims, mlp_dims(dims, o))),
      linear2(Linear(mlp_dims(dims, o), dims)),
      dropout1(o.dropout),
      dropout2(o.dropout),
      activation_(activation(o)),
      norm_first_(o.norm_first) {}

array TransformerEncoderLayer::operator()(const array& x,
                                          const Mask& mask) const {
  const Call call(*this);
  array y = block(x, ln1, norm_first_, [&](const array& v) {
    return dropout1(attention(v, mask));
  });
  return call(block(y, ln2, norm_first_, [&](const array& v) {
    return linear2(dropout2(activation_(linear1(v))));
  }));
}

TransformerEncoder::TransformerEncoder(int num_layers,
                                       int dims,
                                       int num_heads,
                                       const TransformerOptions& o)
    : ln(dims), checkpoint_(o.checkpoint) {
  for (int i = 0; i < num_layers; ++i) layers.emplace_back(dims, num_heads, o);
}

array TransformerEncoder::operator()(const array& x, const Mask& mask) const {
  const Call call(*this);
  array y = x;
  for (const TransformerEncoderLayer& layer : layers) {
    y = run_layer(y, checkpoint_, [&layer, mask](const array& v) {
      return layer(v, mask);
    });
  }
  return call(ln(y));
}

TransformerDecoderLayer::TransformerDecoderLayer(int dims,
                                                 int num_heads,
                                                 const TransformerOptions& o)
    : self_attention(dims, num_heads, {}, o.attention_bias),
      cross_attention(dims, num_heads, {}, o.attention_bias),
      ln1(dims),
      ln2(dims),
      ln3(dims),
      linear1(Linear(dims, mlp_dims(dims, o))),
      linear2(Linear(mlp_dims(dims, o), dims)),
      dropout1(o.dropout),
      dropout2(o.dropout),
      dropout3(o.dropout),
      activation_(activation(o)),
      norm_first_(o.norm_first) {}

array TransformerDecoderLayer::operator()(const array& x,
                                          const array& memory,
                                          const Mask& x_mask,
                                          const Mask& memory_mask) const {
  const Call call(*this);
  array y = block(x, ln1, norm_first_, [&](const array& v) {
    return dropout1(self_attention(v, x_mask));
  });
  y = block(y, ln2, norm_first_, [&](const array& v) {
    return dropout2(cross_attention(v, memory, memory, memory_mask));
  });
  return call(block(y, ln3, norm_first_, [&](const array& v) {
    return linear2(dropout3(activation_(linear1(v))));
  }));
}

TransformerDecoder::TransformerDecoder(int num_layers,
                                       int dims,
                                       int num_heads,
                                       const TransformerOptions& o)
    : ln(dims), checkpoint_(o.checkpoint) {
  for (int i = 0; i < num_layers; ++i) layers.emplace_back(dims, num_heads, o);
}

array TransformerDecoder::operator()(const array& x,
                                     const array& memory,
                                     const Mask& x_mask,
                                     const Mask& memory_mask) const {
  const Call call(*this);
  array y = x;
  for (const TransformerDecoderLayer& layer : layers) {
    y = run_layer(
        y, checkpoint_, [&layer, memory, x_mask, memory_mask](const array& v) {
          return layer(v, memory, x_mask, memory_mask);
        });
  }
  return call(ln(y));
}

Transformer::Transformer(int dims,
                         int num_heads,
                         int num_encoder_layers,
                         int num_decoder_layers,
                         const TransformerOptions& o)
    : TransformerOf(
          TransformerEncoder(num_encoder_layers, dims, num_heads, o),
          TransformerDecoder(num_decoder_layers, dims, num_heads, o)) {}

}  // namespace treadle::nn
