#include "treadle/nn/modules/torch_weights.h"

#include <algorithm>
#include <map>

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

// The name that PyTorch gives to a child.
std::string torch_name(const Module& m, const std::string& child) {
  using Names = std::map<std::string, std::string>;
  static const Names encoder_layer = {
      {"attention", "self_attn"}, {"ln1", "norm1"}, {"ln2", "norm2"}};
  static const Names decoder_layer = {{"self_attention", "self_attn"},
                                      {"cross_attention", "multihead_attn"},
                                      {"ln1", "norm1"},
                                      {"ln2", "norm2"},
                                      {"ln3", "norm3"}};
  static const Names stack = {{"ln", "norm"}}, same;
  const Names& names = is_any<TransformerEncoderLayer>(m)   ? encoder_layer
                       : is_any<TransformerDecoderLayer>(m) ? decoder_layer
                       : is_any<TransformerEncoder, TransformerDecoder>(m)
                           ? stack
                           : same;
  const auto found = names.find(child);
  if (found != names.end()) return found->second;
  constexpr std::string_view list = "layers.";
  return is_any<Sequential>(m) && child.starts_with(list)
             ? child.substr(list.size())
             : child;
}

array in_our_layout(const Module& m, const array& weight) {
  if (is_any<ConvTranspose1d, ConvTranspose2d, ConvTranspose3d>(m)) {
    return moveaxis(swapaxes(weight, 0, 1), 1, -1);  // (I, O, ...): (O, ..., I)
  }
  if (is_any<Conv2d, ConvBase>(m)) return moveaxis(weight, 1, -1);
  return is_any<Bilinear>(m) ? swapaxes(weight, 1, 2) : weight;
}

class Reader {
 public:
  explicit Reader(const NamedArrays& state_dict)
      : left_(state_dict.begin(), state_dict.end()) {}

  void walk(Module& m, const std::string& path, const std::string& prefix) {
    if (is_any<MultiHeadAttention>(m)) return attention(m, path, prefix);
    for (const std::string& key : own_array_keys(m)) {
      if (is_any<Recurrent>(m)) {
        recurrent(m, key, path, prefix);
      } else {
        const array v = take(prefix + key);
        give(path + key, v.null() || key != "weight" ? v : in_our_layout(m, v));
      }
    }
    for (auto& [name, child] : m.named_children()) {
      walk(*child, path + name + ".", prefix + torch_name(m, name) + ".");
    }
  }

  NamedArrays found;
  std::vector<std::string> unused() const {
    std::vector<std::string> names;
    for (const auto& [name, value] : left_) {
      if (!name.ends_with("num_batches_tracked")) names.push_back(name);
    }
    return names;
  }

 private:
  array take(const std::string& name) {
    const auto at = left_.find(name);
    if (at == left_.end()) return {};
    array value = at->second;
    left_.erase(at);
    return value;
  }
  void give(const std::string& name, const array& value) {
    if (!value.null()) found.emplace_back(name, contiguous(value));
  }

  // PyTorch joins the three projections when the inputs have as many features
  // as the result.
  void attention(Module& m,
                 const std::string& path,
                 const std::string& prefix) {
    const std::string sides[] = {"query", "key", "value"};
    for (const std::string kind : {"weight", "bias"}) {
      std::vector<std::pair<std::string, Module*>> projections;
      for (auto& child : m.named_children()) {
        const auto own = own_array_keys(*child.second);
        if (std::find(own.begin(), own.end(), kind) != own.end())
          projections.push_back(std::move(child));
      }
      // A bias that the layer does not have is found unused.
      if (projections.empty()) continue;
      const array whole = take(fmt::format("{}in_proj_{}", prefix, kind));
      const Arrays parts = whole.null() ? Arrays(3) : split(whole, 3);
      for (const auto& [name, projection] : projections) {
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
  void recurrent(Module& m,
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
    if (kind == "bhn") return;  // comes with the other bias
    const array inputs = take(prefix + "bias_ih" + layer);
    array state = take(prefix + "bias_hh" + layer);
    if (inputs.null() || state.null()) return;
    if (is_any<GRU>(m)) {
      const Arrays gates = split(state, 3);
      const std::string ending = key.substr(at);
      give(path + "bhn" + ending, gates[2]);
      state = concatenate({gates[0], gates[1], zeros_like(gates[2])});
    }
    give(path + key, inputs + state);
  }

  std::map<std::string, array> left_;
};

}  // namespace

NamedArrays from_torch(Module& model,
                       const NamedArrays& state_dict,
                       bool strict) {
  Reader reader(state_dict);
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

}  // namespace treadle::nn
