// The transformer of Vaswani et al. 2017, with the normalisation before (the
// default) or after each block.
#pragma once

#include <concepts>
#include <functional>
#include <utility>
#include <vector>

#include "treadle/nn/functional/activations.h"
#include "treadle/nn/modules/attention.h"
#include "treadle/nn/modules/dropout.h"
#include "treadle/nn/modules/hooks.h"
#include "treadle/nn/modules/normalization.h"

namespace treadle::nn {

struct TransformerOptions {
  int mlp_dims = 0;  // 0: four times dims
  double dropout = 0;
  std::function<array(const array&)> activation = relu;
  bool norm_first = true;
  // Of the projections of attention, as PyTorch's have them.
  bool attention_bias = false;
  // Of stacks: layers keep nothing for the gradient, which computes them again.
  bool checkpoint = false;
};

// Self-attention and a two-layer network, each added to its input.
struct TransformerEncoderLayer : Module {
  TransformerEncoderLayer(int dims,
                          int num_heads,
                          const TransformerOptions& options = {});

  MultiHeadAttention attention;
  LayerNorm ln1, ln2;
  Unary linear1, linear2;
  Dropout dropout1, dropout2;
  TREADLE_MODULE(TransformerEncoderLayer,
                 attention,
                 ln1,
                 ln2,
                 linear1,
                 linear2,
                 dropout1,
                 dropout2)

  array operator()(const array& x, const Mask& mask = {}) const;

 private:
  std::function<array(const array&)> activation_;
  bool norm_first_;
};

struct TransformerEncoder : Module {
  TransformerEncoder(int num_layers,
                     int dims,
                     int num_heads,
                     const TransformerOptions& options = {});

  std::vector<TransformerEncoderLayer> layers;
  LayerNorm ln;
  TREADLE_MODULE(TransformerEncoder, layers, ln)

  // (B, T, dims) -> the same
  array operator()(const array& x, const Mask& mask = {}) const;

 private:
  bool checkpoint_;
};

// Self-attention, attention to `memory`, and a two-layer network.
struct TransformerDecoderLayer : Module {
  TransformerDecoderLayer(int dims,
                          int num_heads,
                          const TransformerOptions& options = {});

  MultiHeadAttention self_attention, cross_attention;
  LayerNorm ln1, ln2, ln3;
  Unary linear1, linear2;
  Dropout dropout1, dropout2, dropout3;
  TREADLE_MODULE(TransformerDecoderLayer,
                 self_attention,
                 cross_attention,
                 ln1,
                 ln2,
                 ln3,
                 linear1,
                 linear2,
                 dropout1,
                 dropout2,
                 dropout3)

  array operator()(const array& x,
                   const array& memory,
                   const Mask& x_mask = {},
                   const Mask& memory_mask = {}) const;

 private:
  std::function<array(const array&)> activation_;
  bool norm_first_;
};

struct TransformerDecoder : Module {
  TransformerDecoder(int num_layers,
                     int dims,
                     int num_heads,
                     const TransformerOptions& options = {});

  std::vector<TransformerDecoderLayer> layers;
  LayerNorm ln;
  TREADLE_MODULE(TransformerDecoder, layers, ln)

  // x (B, T, dims), memory (B, S, dims) -> (B, T, dims)
  array operator()(const array& x,
                   const array& memory,
                   const Mask& x_mask = {},
                   const Mask& memory_mask = {}) const;

 private:
  bool checkpoint_;
};

struct TransformerMasks {
  Mask source, target, memory;
};

// Encoder and decoder of any types that are called as the two above are:
//
//   nn::TransformerOf model(MyEncoder(64), nn::TransformerDecoder(2, 64, 4));
template <std::derived_from<Module> Encoder, std::derived_from<Module> Decoder>
struct TransformerOf : Module {
  TransformerOf(Encoder custom_encoder, Decoder custom_decoder)
      : encoder(std::move(custom_encoder)),
        decoder(std::move(custom_decoder)) {}

  Encoder encoder;
  Decoder decoder;
  TREADLE_MODULE(Transformer, encoder, decoder)

  // source (B, S, dims), target (B, T, dims) -> (B, T, dims)
  array operator()(const array& source,
                   const array& target,
                   const TransformerMasks& masks = {}) const {
    const Call call(*this);
    const array memory = encoder(source, masks.source);
    return call(decoder(target, memory, masks.target, masks.memory));
  }
};

struct Transformer : TransformerOf<TransformerEncoder, TransformerDecoder> {
  explicit Transformer(int dims = 512,
                       int num_heads = 8,
                       int num_encoder_layers = 6,
                       int num_decoder_layers = 6,
                       const TransformerOptions& options = {});
};

}  // namespace treadle::nn
