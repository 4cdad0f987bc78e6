// Unary: any module that maps an array to an array, held by value and
// exchangeable: quantising, sharding and low-rank adapters swap what is inside.
#pragma once

#include <concepts>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "treadle/nn/modules/module.h"

namespace treadle::nn {

template <class M>
concept UnaryModule = std::derived_from<M, Module> &&
    requires(const M& m, const array& x) {
  { m(x) } -> std::convertible_to<array>;
};

class Unary {
 public:
  Unary() = default;  // empty: calling it throws
  template <class M>
  requires UnaryModule<std::remove_cvref_t<M>> Unary(M&& module)
      : held_(std::make_unique<Held<std::remove_cvref_t<M>>>(
            std::forward<M>(module))) {}
  // A function without parameters, such as nn::relu.
  Unary(array (*function)(const array&));

  Unary(const Unary& o) : held_(o.held_ ? o.held_->copy() : nullptr) {}
  Unary(Unary&&) = default;
  Unary& operator=(Unary o) noexcept {
    held_ = std::move(o.held_);
    return *this;
  }

  array operator()(const array& x) const;

  bool empty() const { return held_ == nullptr; }
  Module& module() const;

  // The module inside, when it is an M; throws std::invalid_argument otherwise.
  template <class M>
  M& as() const {
    if (M* m = try_as<M>()) return *m;
    wrong_type();
  }
  template <class M>
  M* try_as() const {
    return held_ ? dynamic_cast<M*>(&held_->module()) : nullptr;
  }

  void accept(Visitor& v, std::string_view name) {
    if (held_) v.on_unary(name, *this);
  }

 private:
  struct Holder {
    virtual ~Holder() = default;
    virtual Module& module() = 0;
    virtual array call(const array& x) const = 0;
    virtual std::unique_ptr<Holder> copy() const = 0;
  };
  template <class M>
  struct Held final : Holder {
    template <class A>
    explicit Held(A&& m) : inside(std::forward<A>(m)) {}
    Module& module() override { return inside; }
    array call(const array& x) const override { return inside(x); }
    std::unique_ptr<Holder> copy() const override {
      return std::make_unique<Held>(inside);
    }
    M inside;
  };
  [[noreturn]] void wrong_type() const;

  std::unique_ptr<Holder> held_;
};

}  // namespace treadle::nn
