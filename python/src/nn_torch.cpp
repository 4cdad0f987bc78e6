// treadle._core._nn.from_torch: the rules for weights of PyTorch models, for a
// model that Python describes.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "treadle/nn/modules/torch_weights.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

using namespace nb::literals;

namespace {

nn::TorchKind kind_named(const std::string& word) {
  using enum nn::TorchKind;
  static const std::map<std::string, nn::TorchKind> kinds = {
      {"same", same},
      {"convolution", convolution},
      {"transposed_convolution", transposed_convolution},
      {"bilinear", bilinear},
      {"recurrent", recurrent},
      {"gru", gru},
      {"attention", attention},
      {"encoder_layer", encoder_layer},
      {"decoder_layer", decoder_layer},
      {"stack", stack},
      {"sequential", sequential},
  };
  return kinds.at(word);
}

// From (name, kind, names of arrays, [description, ...]).
nn::TorchLayer described(const nb::tuple& of) {
  nn::TorchLayer layer{nb::cast<std::string>(of[0]),
                       kind_named(nb::cast<std::string>(of[1])),
                       nb::cast<std::vector<std::string>>(of[2]),
                       {}};
  for (nb::handle child : nb::cast<nb::list>(of[3])) {
    layer.children.push_back(described(nb::cast<nb::tuple>(child)));
  }
  return layer;
}

}  // namespace

void bind_nn_torch(nb::module_& m) {
  m.def(
      "from_torch",
      [](const nb::tuple& model,
         const std::vector<std::string>& names,
         const nb::callable& load,
         bool strict) {
        const nn::NamedArrays found = nn::from_torch(
            described(model),
            names,
            [&](const std::string& name) { return array_of(load(name)); },
            strict);
        nb::list pairs;
        for (const auto& [name, value] : found) {
          pairs.append(nb::make_tuple(name, wrap(value)));
        }
        return pairs;
      },
      "model"_a,
      "names"_a,
      "load"_a,
      "strict"_a,
      "Pairs of our names and arrays, for a model and the names of a "
      "state_dict; load gives the array of one of them.");
}

}  // namespace treadle::python
