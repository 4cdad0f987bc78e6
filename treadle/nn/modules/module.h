// Module: the base of all layers and models. A module is a value: its members
// are arrays and other modules, a copy is an independent model. Calls are const
// and compute; everything that changes a model is a method here.
//
//   struct Mlp : nn::Module {
//     nn::Unary l1 = nn::Linear(784, 256), l2 = nn::Linear(256, 10);
//     TREADLE_MODULE(Mlp, l1, l2)
//     array operator()(const array& x) const { return l2(nn::relu(l1(x))); }
//   };
//
// Not thread-safe: a model may be called from several threads only while nobody
// changes it and no layer of it keeps running statistics.
#pragma once

#include <concepts>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "treadle/graph/tree.h"
#include "treadle/nn/modules/visitor.h"
#include "treadle/transforms/compile.h"

namespace treadle::nn {

class Replacement;
class Unary;

// Paths with arrays, as in a file of weights.
using NamedArrays = std::vector<std::pair<std::string, array>>;

struct FreezeOptions {
  bool recurse = true;  // submodules too
  std::vector<std::string> keys =
      {};               // only members of these names; empty: all
  bool strict = false;  // a key that no module has is an error
};

class Module {
 public:
  virtual ~Module() = default;

  // Written by TREADLE_MODULE.
  virtual std::string_view type_name() const = 0;
  virtual void visit(Visitor& v) = 0;

  // What a layer says about itself when it is printed: "input_dims=784, ...".
  virtual std::string extra_repr() const { return ""; }
  // The same in a word, for errors: "784->256".
  virtual std::string brief() const { return ""; }
  // Members that are never trained, such as running statistics.
  virtual bool always_frozen(std::string_view) const { return false; }

  // All arrays: maps of members, lists and maps of containers. A shared module
  // is listed wherever it is held.
  Tree parameters() const;
  // Those that are not frozen. Frozen members are absent, frozen items of a
  // list are {}. A shared module is listed once, at its first place, so that it
  // is differentiated and updated once.
  Tree trainable_parameters() const;

  // Replaces the arrays at the tree's places. Strict: a place that the model
  // does not have, or another shape, throws std::invalid_argument naming path,
  // given and expected shape, and nothing is changed; otherwise unknown places
  // are skipped and any shape is taken.
  Module& update(const Tree& parameters, bool strict = true);
  Module& update(const NamedArrays& parameters, bool strict = true);
  // Replaces every array by f of it.
  Module& apply(const std::function<array(const array&)>& f);
  // Converts floating arrays; others keep their dtype.
  Module& set_dtype(Dtype dtype);

  // Frozen arrays get no gradient. Keys name members of any module below
  // ("bias", "layers.0" for items).
  Module& freeze(const FreezeOptions& options = {});
  Module& unfreeze(const FreezeOptions& options = {});
  bool is_frozen(std::string_view key) const;

  // Mode of layers that act differently while training, such as Dropout.
  Module& train(bool mode = true);
  Module& eval() { return train(false); }
  bool training() const { return state_.training; }

  // This module as "" and all below it with their paths, in MLX's order (a
  // stack: later siblings first).
  std::vector<std::pair<std::string, Module*>> named_modules();
  // The modules directly inside, and all that contain no other, in order.
  std::vector<std::pair<std::string, Module*>> named_children();
  std::vector<std::pair<std::string, Module*>> named_leaf_modules();
  Module& apply_to_modules(
      const std::function<void(const std::string&, Module&)>& f);
  // Exchanges the module at `path` ("layers.1"). A Unary takes any module that
  // maps an array to an array, an AnyEmbedding any embedding; a member of a
  // type of its own takes one of that type. Others throw std::invalid_argument.
  Module& replace(std::string_view path, Unary with);
  template <class M>
  requires std::derived_from<std::remove_cvref_t<M>, Module> Module& replace(
      std::string_view path, M&& with);

  // Safetensors and npz files, and GGUF files for reading; other endings throw.
  // Strict:
  // the file must hold exactly this model's arrays; the error lists extra,
  // missing and misshapen names.
  void save_weights(const std::string& path) const;
  Module& load_weights(const std::string& path, bool strict = true);
  Module& load_weights(const NamedArrays& weights, bool strict = true);

  // The weights of a PyTorch model of the same layers, by the names of its
  // state_dict. Layouts and names are changed where they differ: kernels of
  // convolutions, biases of recurrent layers, joined projections of attention,
  // norms of transformers. Strict as above; the error lists all names.
  Module& load_torch_state_dict(const NamedArrays& state_dict,
                                bool strict = true);

  // "Mlp(\n  (l1): Linear(input_dims=784, ...)\n ...)", as MLX prints it.
  std::string to_string() const;

  // "layers.1 (Linear 64->64)": how errors name this module. The path is that
  // of the last remember_paths() from the top.
  std::shared_ptr<const std::string> label() const;
  // Tells every module below where it is. update, apply, train, eval, replace
  // and value_and_grad do so.
  Module& remember_paths();

  // The arrays that trainable_parameters() and parameters() list, in their
  // order.
  std::vector<array*> trainable_slots();
  std::vector<array*> slots();

 protected:
  Module() = default;
  Module(const Module& o);
  Module(Module&&) = default;
  Module& operator=(const Module& o);
  Module& operator=(Module&&) = default;

 private:
  Module& replace_by(std::string_view path, Replacement& with);

  struct State {
    bool training = true;
    std::vector<std::string> frozen;
    std::string path;
    std::shared_ptr<const std::string> label;  // null before remember_paths()
  };
  State state_;
};

std::ostream& operator<<(std::ostream& out, const Module& module);

// A module on its way to a place; each of put() says whether it fits there.
class Replacement {
 public:
  virtual ~Replacement() = default;
  virtual bool put(Unary& place) = 0;
  virtual bool put(AnyEmbedding& place) = 0;
  virtual bool put(Module& member) = 0;
};

namespace detail {

template <class M>
class ReplacementBy final : public Replacement {
 public:
  explicit ReplacementBy(M with) : with_(std::move(with)) {}
  bool put(Unary& place) override { return exchange(place); }
  bool put(AnyEmbedding& place) override { return exchange(place); }
  bool put(Module& member) override {
    if (typeid(member) != typeid(M)) return false;
    static_cast<M&>(member) = std::move(with_);
    return true;
  }

 private:
  template <class Place>
  bool exchange(Place& place) {
    if constexpr (std::convertible_to<M, Place>) {
      place = Place(std::move(with_));
      return true;
    }
    return false;
  }
  M with_;
};

}  // namespace detail

template <class M>
requires std::derived_from<std::remove_cvref_t<M>, Module> Module&
Module::replace(std::string_view path, M&& with) {
  detail::ReplacementBy<std::remove_cvref_t<M>> by(std::forward<M>(with));
  return replace_by(path, by);
}

// A model's arrays as state of a compiled function: read and replaced. The
// model must outlive it.
CapturedState captured(Module& module);

}  // namespace treadle::nn
