#include "treadle/nn/modules/torch_weights.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "treadle/base/error.h"
#include "treadle/nn/modules/attention.h"
#include "treadle/nn/modules/conv.h"
#include "treadle/nn/modules/linear.h"
#include "treadle/nn/modules/recurrent.h"
#include "treadle/nn/modules/sequential.h"
#include "treadle/nn/modules/transformer.h"
#include "treadle/nn/modules/walk.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

namespace {

template <class... Kinds>
bool is_any(const Module& m) {
  return (dynamic_cast<const Kinds*>(&m) || ...);
}

TorchKind kind_of(const Module& m) {
  if (is_any<ConvTranspose1d, ConvTranspose2d, ConvTranspose3d>(m)) {
    return TorchKind::transposed_convolution;
  }
  if (is_any<ConvBase>(m)) return TorchKind::convolution;
  if (is_any<Bilinear>(m)) return TorchKind::bilinear;
  if (is_any<GRU>(m)) return TorchKind::gru;
  if (is_any<Recurrent>(m)) return TorchKind::recurrent;
  if (is_any<MultiHeadAttention>(m)) return TorchKind::attention;
  if (is_any<TransformerEncoderLayer>(m)) return TorchKind::encoder_layer;
  if (is_any<TransformerDecoderLayer>(m)) return TorchKind::decoder_layer;
  if (is_any<TransformerEncoder, TransformerDecoder>(m)) {
    return TorchKind::stack;
  }
  return is_any<Sequential>(m) ? TorchKind::sequential : TorchKind::same;
}

TorchLayer described(const std::string& name, Module& m) {
  TorchLayer layer{name, kind_of(m), own_array_keys(m), {}};
  for (auto& [key, child] : m.named_children()) {
    layer.children.push_back(described(key, *child));
  }
  return layer;
}

// The name that PyTorch gives to a child.
std::string torch_name(TorchKind parent, const std::string& child) {
  using Names = std::map<std::string, std::string>;
  static const std::map<TorchKind, Names> all = {
      {TorchKind::encoder_layer,
       {{"attention", "self_attn"}, {"ln1", "norm1"}, {"ln2", "norm2"}}},
      {TorchKind::decoder_layer,
       {{"self_attention", "self_attn"},
        {"cross_attention", "multihead_attn"},
        {"ln1", "norm1"},
        {"ln2", "norm2"},
        {"ln3", "norm3"}}},
      {TorchKind::stack, {{"ln", "norm"}}},
  };
  if (const auto names = all.find(parent); names != all.end()) {
    const auto found = names->second.find(child);
    if (found != names->second.end()) return found->second;
  }
  constexpr std::string_view list = "layers.";
  return parent == TorchKind::sequential && child.starts_with(list)
             ? child.substr(list.size())
             : child;
}

array in_our_layout(TorchKind kind, const array& weight) {
  switch (kind) {
    case TorchKind::transposed_convolution:  // (I, O, ...): (O, ..., I)
      return moveaxis(swapaxes(weight, 0, 1), 1, -1);
    case TorchKind::convolution:
      return moveaxis(weight, 1, -1);
    case TorchKind::bilinear:
      return swapaxes(weight, 1, 2);
    default:
      return weight;
  }
}

class Reader {
 public:
  using Load = std::function<array(const std::string&)>;
  Reader(const std::vector<std::string>& names, const Load& load)
      : left_(names.begin(), names.end()), load_(load) {}

  void walk(const TorchLayer& layer,
            const std::string& path,
            const std::string& prefix) {
    if (layer.kind == TorchKind::attention) {
      return attention(layer, path, prefix);
    }
    for (const std::string& key : layer.arrays) {
      if (layer.kind == TorchKind::recurrent || layer.kind == TorchKind::gru) {
        recurrent(layer.kind, key, path, prefix);
      } else {
        const array v = take(prefix + key);
        give(path + key,
             v.null() || key != "weight" ? v : in_our_layout(layer.kind, v));
      }
    }
    for (const TorchLayer& child : layer.children) {
      walk(child,
           path + child.name + ".",
           prefix + torch_name(layer.kind, child.name) + ".");
    }
  }

  NamedArrays found;
  std::vector<std::string> unused() const {
    std::vector<std::string> names;
    for (const std::string& name : left_) {
      if (!name.ends_with("num_batches_tracked")) names.push_back(name);
    }
    return names;
  }

 private:
  array take(const std::string& name) {
    return left_.erase(name) ? load_(name) : array();
  }
  void give(const std::string& name, const array& value) {
    if (!value.null()) found.emplace_back(name, contiguous(value));
  }

  // PyTorch joins the three projections when the inputs have as many features
  // as the result.
  void attention(const TorchLayer& layer,
                 const std::string& path,
                 const std::string& prefix) {
    const std::string sides[] = {"query", "key", "value"};
    for (const std::string kind : {"weight", "bias"}) {
      std::vector<std::string> projections;
      for (const TorchLayer& child : layer.children) {
        if (std::ranges::count(child.arrays, kind)) {
          projections.push_back(child.name);
        }
      }
      // A bias that the layer does not have is found unused.
      if (projections.empty()) continue;
      const array whole = take(fmt::format("{}in_proj_{}", prefix, kind));
      const Arrays parts = whole.null() ? Arrays(3) : split(whole, 3);
      for (const std::string& name : projections) {
        array value;
        for (size_t i = 0; i < 3; ++i) {
          if (name != sides[i] + "_proj") continue;
          value = parts[i];
          if (kind == "weight" && value.null()) {
            value = take(prefix + sides[i][0] + "_proj_weight");
          }
        }
        if (name == "out_proj")
          value = take(fmt::format("{}out_proj.{}", prefix, kind));
        give(fmt::format("{}{}.{}", path, name, kind), value);
      }
    }
  }

  // Gates have the same order. PyTorch has a bias for each product: only the
  // GRU's n tells them apart, as "bhn".
  void recurrent(TorchKind layer_kind,
                 const std::string& key,
                 const std::string& path,
                 const std::string& prefix) {
    const size_t at = std::min(key.find("_l"), key.size());
    const std::string layer = at < key.size() ? key.substr(at) : "_l0";
    const std::string kind = key.substr(0, at);
    if (kind.starts_with("Wx") || kind.starts_with("Wh")) {
      const std::string side = kind.starts_with("Wx") ? "ih" : "hh";
      return give(path + key, take(prefix + "weight_" + side + layer));
    }
    if (kind == "bhn") return;            // comes with the other bias
    if (kind != "b" && kind != "bias") {  // a subclass's own
      return give(path + key, take(prefix + key));
    }
    const array inputs = take(prefix + "bias_ih" + layer);
    array state = take(prefix + "bias_hh" + layer);
    if (inputs.null() || state.null()) return;
    if (layer_kind == TorchKind::gru) {
      const Arrays gates = split(state, 3);
      const std::string ending = key.substr(at);
      give(path + "bhn" + ending, gates[2]);
      state = concatenate({gates[0], gates[1], zeros_like(gates[2])});
    }
    give(path + key, inputs + state);
  }

  std::set<std::string> left_;
  const Load& load_;
};

}  // namespace

NamedArrays from_torch(const TorchLayer& model,
                       const std::vector<std::string>& names,
                       const std::function<array(const std::string&)>& load,
                       bool strict) {
  Reader reader(names, load);
  reader.walk(model, "", "");
  const auto unused = reader.unused();
  if (strict && !unused.empty()) {
    invalid("load_torch_state_dict",
            fmt::format("{} names have no place in the model: {}.",
                        unused.size(),
                        fmt::join(unused, ", ")));
  }
  return std::move(reader.found);
}

NamedArrays from_torch(Module& model,
                       const NamedArrays& state_dict,
                       bool strict) {
  const std::map<std::string, array> values(state_dict.begin(),
                                            state_dict.end());
  std::vector<std::string> names;
  names.reserve(values.size());
  for (const auto& [name, value] : values) names.push_back(name);
  return from_torch(
      described("", model),
      names,
      [&](const std::string& name) { return values.at(name); },
      strict);
}

}  // namespace treadle::nn
