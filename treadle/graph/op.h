// What every operation must answer. An op is an immutable value: a struct of
// plain fields with its rules. It holds no data and no kernel; a forgotten rule
// is a pure virtual function and does not compile.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <typeinfo>
#include <utility>
#include <vector>

#include "treadle/base/hash.h"
#include "treadle/base/scalar.h"
#include "treadle/base/shape.h"

namespace treadle {

class array;
class OpPtr;
struct Graph;
using Arrays = std::vector<array>;
using Specs = std::vector<Spec>;
// The inputs that a derivative is asked for, ascending.
using Argnums = std::span<const int>;

// Result of a vmap rule: outputs and the axis of each that is mapped.
struct Mapped {
  Arrays outputs;
  std::vector<int> axes;
};
inline constexpr int kNotMapped = -1;

enum class OpKind : uint8_t {
  row,        // elementwise: one line of ops/elementwise.def
  plain,      // has kernels
  view,       // its result is its input's memory under another layout
  composite,  // expand() says what it means; a device may list a kernel for it
  region,     // owns a closed graph
};

class Op {
 public:
  virtual ~Op() = default;

  virtual std::string_view name() const = 0;
  virtual OpKind kind() const = 0;

  // Shapes and dtypes of the outputs; throws on bad input.
  virtual Specs infer(std::span<const Spec> in) const = 0;
  // Tangents of all outputs. x: inputs, y: outputs, t: one tangent for each
  // input of `args`. A null array stands for zero, in t and in the result.
  virtual Arrays jvp(const Arrays& x,
                     const Arrays& y,
                     const Arrays& t,
                     Argnums args) const = 0;
  // Cotangents of the inputs of `args`. ct: one for each output; null is zero,
  // also in the result.
  virtual Arrays vjp(const Arrays& x,
                     const Arrays& y,
                     const Arrays& ct,
                     Argnums args) const = 0;
  // The op over a batch: axes[i] is the mapped axis of x[i] or kNotMapped.
  virtual Mapped vmap(const Arrays& x, std::span<const int> axes) const = 0;

  // View ops: the result's layout over the input's memory, or false when the
  // elements must be copied. `in` is row-contiguous if `contiguous`.
  virtual bool view(const Spec& in,
                    const Layout& layout,
                    const Spec& out,
                    Layout* result) const;
  // View ops: true when a row-contiguous input gives a row-contiguous result,
  // always and whatever the sizes.
  virtual bool keeps_contiguous() const { return false; }
  // View ops: true when view() succeeds on any layout, whatever the sizes.
  virtual bool views_strided() const { return true; }
  // Composites and regions: the same result written in other ops.
  virtual Arrays expand(const Arrays& x) const;
  // Regions: the graph they own.
  virtual const Graph* graph() const { return nullptr; }
  // Ops with an effect keep their order and are never merged or dropped.
  virtual bool has_effect() const { return false; }

  // Fields that decide how a plan is built.
  virtual void hash_structure(Hasher& h) const = 0;
  // Facts about sizes that decide it too (which axes are broadcast).
  virtual void hash_facts(Hasher&, std::span<const Spec>) const {}
  // Fields that are only filled in when a plan runs; false when it has none.
  virtual bool hash_sizes(Hasher& h) const = 0;
  virtual bool same_as(const Op& other) const = 0;
  // "axes=[0, 1], keepdims=true".
  virtual std::string describe() const = 0;

 protected:
  Op() = default;
  Op(const Op&) {}  // the count belongs to the object, not to the value
  Op& operator=(const Op&) { return *this; }

 private:
  friend class OpPtr;
  friend OpPtr immortal_op(Op* op);
  mutable std::atomic<uint32_t> refs_{0};
  bool static_ = false;
};

class OpPtr {
 public:
  OpPtr() = default;
  explicit OpPtr(const Op* op) : op_(op) { retain(); }
  OpPtr(const OpPtr& o) : op_(o.op_) { retain(); }
  OpPtr(OpPtr&& o) noexcept : op_(std::exchange(o.op_, nullptr)) {}
  OpPtr& operator=(OpPtr o) noexcept {
    std::swap(op_, o.op_);
    return *this;
  }
  ~OpPtr() { reset(); }
  void reset() {
    const Op* op = std::exchange(op_, nullptr);
    if (op && !op->static_ &&
        op->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      delete op;
    }
  }
  const Op* get() const { return op_; }
  const Op& operator*() const { return *op_; }
  const Op* operator->() const { return op_; }
  explicit operator bool() const { return op_ != nullptr; }

 private:
  void retain() const {
    if (op_ && !op_->static_) {
      op_->refs_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  const Op* op_ = nullptr;
};

// Marks an op as living for the whole process: handing it around then touches
// no counter.
inline OpPtr immortal_op(Op* op) {
  op->static_ = true;
  return OpPtr(op);
}

// The one instance of an op without fields.
template <class T>
OpPtr static_op() {
  static const OpPtr* op = new OpPtr(immortal_op(new T()));
  return *op;
}

template <class T>
OpPtr make_op(T op) {
  if constexpr (std::tuple_size_v<decltype(op.fields())> == 0 &&
                std::tuple_size_v<decltype(op.sizes())> == 0) {
    return static_op<T>();
  } else {
    return OpPtr(new T(std::move(op)));
  }
}

// The op as a T, or null when it is another op.
template <class T>
const T* as(const Op& op) {
  return typeid(op) == typeid(T) ? static_cast<const T*>(&op) : nullptr;
}

namespace fields {

// What a field of an op may be. A new field type needs a hash and a text here.
void hash(Hasher& h, const Scalar& v);
template <class T>
requires std::is_arithmetic_v<T> || std::is_enum_v<T>
void hash(Hasher& h, T v) {
  if constexpr (std::is_floating_point_v<T>) {
    h.add(std::bit_cast<uint64_t>(double(v)));
  } else {
    h.add(uint64_t(v));
  }
}
inline void hash(Hasher& h, const std::string& v) { h.add(v); }
template <class T, size_t N>
void hash(Hasher& h, const SmallVector<T, N>& v) {
  h.add(v.size());
  for (const T& e : v) hash(h, e);
}
template <class T>
void hash(Hasher& h, const std::vector<T>& v) {
  h.add(v.size());
  for (const T& e : v) hash(h, e);
}

std::string text(bool v);
std::string text(int64_t v);
std::string text(double v);
std::string text(Dtype v);
inline std::string text(const std::string& v) { return "'" + v + "'"; }
inline std::string text(const Scalar& v) { return v.to_string(); }
template <class T>
requires std::is_integral_v<T> ||
    (std::is_enum_v<T> && !std::is_same_v<T, Dtype>)std::string text(T v) {
  return text(static_cast<int64_t>(v));
}
inline std::string text(float v) { return text(double(v)); }
template <class V>
requires requires(const V& v) { v.begin() != v.end(); }
std::string text(const V& v) {
  std::string s = "[";
  for (const auto& e : v) s += (s.size() > 1 ? ", " : "") + text(e);
  return s + "]";
}

bool same(const Scalar& a, const Scalar& b);
template <class T>
bool same(const T& a, const T& b) {
  return a == b;
}

}  // namespace fields

// Gives an op struct D its equality, hash and text. D declares
//   static constexpr std::string_view op_name = "matmul";
//   auto fields() const { return std::tie(transpose_a, transpose_b); }
// and, for values that only matter when a plan runs (lengths, offsets),
//   auto sizes() const { return std::tie(shape); }
template <class D, OpKind K = OpKind::plain>
class OpBase : public Op {
 public:
  std::string_view name() const override { return D::op_name; }
  OpKind kind() const override { return K; }
  auto fields() const { return std::tuple<>(); }
  auto sizes() const { return std::tuple<>(); }

  void hash_structure(Hasher& h) const override {
    h.add(name());
    std::apply([&](const auto&... f) { (fields::hash(h, f), ...); },
               self().fields());
  }
  bool hash_sizes(Hasher& h) const override {
    std::apply([&](const auto&... f) { (fields::hash(h, f), ...); },
               self().sizes());
    return std::tuple_size_v<decltype(self().sizes())> > 0;
  }
  bool same_as(const Op& other) const override {
    const D* o = as<D>(other);
    return o && same_tuple(self().fields(), o->fields()) &&
           same_tuple(self().sizes(), o->sizes());
  }
  std::string describe() const override {
    std::string s;
    auto add = [&](const auto&... f) {
      ((s += (s.empty() ? "" : ", ") + fields::text(f)), ...);
    };
    std::apply(add, self().fields());
    std::apply(add, self().sizes());
    return s;
  }

 private:
  const D& self() const { return static_cast<const D&>(*this); }
  template <class T>
  static bool same_tuple(const T& a, const T& b) {
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return (fields::same(std::get<I>(a), std::get<I>(b)) && ...);
    }
    (std::make_index_sequence<std::tuple_size_v<T>>());
  }
};

// For rules that an op does not have, and says so.
[[noreturn]] Arrays not_differentiable(std::string_view op);
[[noreturn]] Mapped not_mappable(std::string_view op, std::string_view why);

}  // namespace treadle
