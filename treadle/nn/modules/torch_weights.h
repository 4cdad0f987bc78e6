// Weights of PyTorch models: which of its names and layouts are which of ours,
// layer by layer.
#pragma once

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// What load_weights takes, from a state_dict of a PyTorch model of the same
// layers, as a safetensors file of it has. Strict: a name that no layer of the
// model reads throws std::invalid_argument; the error lists all of them.
NamedArrays from_torch(Module& model,
                       const NamedArrays& state_dict,
                       bool strict = true);

}  // namespace treadle::nn
