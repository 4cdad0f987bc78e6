// Embedding, and a place for any layer that can be called like one.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

// Rows of a table: integers (...) -> (..., dims). weight (num_embeddings, dims)
// starts normal with standard deviation 1 / sqrt(dims).
struct Embedding : Module {
  Embedding(int num_embeddings, int dims);

  array weight;
  TREADLE_MODULE(Embedding, weight)

  array operator()(const array& x) const;
  // x weight^T, for a last layer that shares the table: (..., dims) -> (...,
  // num_embeddings).
  array as_linear(const array& x) const;
  std::string extra_repr() const override;
  std::string brief() const override;
};

template <class M>
concept EmbeddingModule = std::derived_from<M, Module> &&
    requires(const M& m, const array& x) {
  { m(x) } -> std::convertible_to<array>;
  { m.as_linear(x) } -> std::convertible_to<array>;
};

// Any such module, held by value and exchangeable: assign another.
class AnyEmbedding {
 public:
  AnyEmbedding() = default;  // empty: calling it throws
  template <class M>
  requires EmbeddingModule<std::remove_cvref_t<M>> AnyEmbedding(M&& module)
      : held_(std::make_unique<Held<std::remove_cvref_t<M>>>(
            std::forward<M>(module))) {}

  AnyEmbedding(const AnyEmbedding& o)
      : held_(o.held_ ? o.held_->copy() : nullptr) {}
  AnyEmbedding(AnyEmbedding&&) = default;
  AnyEmbedding& operator=(AnyEmbedding o) noexcept {
    held_ = std::move(o.held_);
    return *this;
  }

  array operator()(const array& x) const { return holder().call(x); }
  array as_linear(const array& x) const { return holder().as_linear(x); }

  bool empty() const { return held_ == nullptr; }
  Module& module() const { return holder().module(); }
  // The module inside when it is an M, else null.
  template <class M>
  M* try_as() const {
    return held_ ? dynamic_cast<M*>(&held_->module()) : nullptr;
  }

  void accept(Visitor& v, std::string_view name) {
    if (held_) v.on_embedding(name, *this);
  }

 private:
  struct Holder {
    virtual ~Holder() = default;
    virtual Module& module() = 0;
    virtual array call(const array& x) const = 0;
    virtual array as_linear(const array& x) const = 0;
    virtual std::unique_ptr<Holder> copy() const = 0;
  };
  template <class M>
  struct Held final : Holder {
    template <class A>
    explicit Held(A&& m) : inside(std::forward<A>(m)) {}
    Module& module() override { return inside; }
    array call(const array& x) const override { return inside(x); }
    array as_linear(const array& x) const override {
      return inside.as_linear(x);
    }
    std::unique_ptr<Holder> copy() const override {
      return std::make_unique<Held>(inside);
    }
    M inside;
  };
  Holder& holder() const;  // throws std::invalid_argument when empty

  std::unique_ptr<Holder> held_;
};

}  // namespace treadle::nn
