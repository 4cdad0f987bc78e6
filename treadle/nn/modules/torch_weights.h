// Weights of PyTorch models: which of its names and layouts are which of ours,
// layer by layer.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// Layers of which PyTorch has other names or layouts.
enum class TorchKind : uint8_t {
  same,  // all others
  convolution,
  transposed_convolution,
  bilinear,
  recurrent,  // RNN, LSTM
  gru,
  attention,
  encoder_layer,
  decoder_layer,
  stack,  // TransformerEncoder, TransformerDecoder
  sequential,
};

// A model as the rules see it, whichever language holds it.
struct TorchLayer {
  std::string name;  // in the layer around it: "layers.0"
  TorchKind kind = TorchKind::same;
  std::vector<std::string> arrays;  // its own: "weight", "scales.0"
  std::vector<TorchLayer> children;
};

// What load_weights takes, from a PyTorch model of the same layers whose
// state_dict has these names; `load` gives the array of one of them. Strict: a
// name that no layer reads throws std::invalid_argument; the error lists all.
NamedArrays from_torch(const TorchLayer& model,
                       const std::vector<std::string>& names,
                       const std::function<array(const std::string&)>& load,
                       bool strict = true);

// The same for a module, from a state_dict as a safetensors file of it has.
NamedArrays from_torch(Module& model,
                       const NamedArrays& state_dict,
                       bool strict = true);

}  // namespace treadle::nn
