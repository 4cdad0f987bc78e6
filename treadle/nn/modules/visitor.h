// How a module shows its members. TREADLE_MODULE writes visit() once, and
// everything that walks over a model (parameters, freezing, saving, printing)
// is a Visitor.
#pragma once

#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "treadle/graph/tree.h"

namespace treadle::nn {

class AnyEmbedding;
class Module;
class SharedPlace;
class Unary;

class Visitor {
 public:
  virtual ~Visitor() = default;
  // A null array is a member that this module does without (no bias).
  virtual void on_array(std::string_view name, array& value) = 0;
  virtual void on_module(std::string_view name, Module& module) = 0;
  // Places whose modules can be exchanged; by default these are visited.
  virtual void on_unary(std::string_view name, Unary& place);
  virtual void on_embedding(std::string_view name, AnyEmbedding& place);
  // A module that other places hold too.
  virtual void on_shared(std::string_view name, Module& module) {
    on_module(name, module);
  }
  virtual void on_shared_place(std::string_view name, SharedPlace& place);
  // A vector, map or tuple; its items follow, named "0", "1", ... or by key.
  virtual void open(std::string_view name, Tree::Kind kind) = 0;
  virtual void close() = 0;
};

// Places such as Unary and Shared say themselves how they are visited.
template <class T>
concept VisitsItself = requires(T& t, Visitor& v, std::string_view name) {
  t.accept(v, name);
};

template <class T>
void visit_member(Visitor& v, std::string_view name, T& member);

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T, class A>
inline constexpr bool is_vector<std::vector<T, A>> = true;
template <class T>
inline constexpr bool is_map = false;
template <class T, class C, class A>
inline constexpr bool is_map<std::map<std::string, T, C, A>> = true;
template <class T>
inline constexpr bool is_tuple = false;
template <class... T>
inline constexpr bool is_tuple<std::tuple<T...>> = true;
template <class A, class B>
inline constexpr bool is_tuple<std::pair<A, B>> = true;

template <class T>
inline constexpr bool no_member_kind = false;

// Takes the first name of "weight, bias_, layers" off the list. A member's
// trailing underscore is not part of its name.
std::string_view next_name(std::string_view& names);

template <class... Members>
void visit_members(Visitor& v,
                   [[maybe_unused]] std::string_view names,
                   Members&... members) {
  (visit_member(v, next_name(names), members), ...);
}

}  // namespace detail

template <class T>
void visit_member(Visitor& v, std::string_view name, T& member) {
  if constexpr (std::is_same_v<T, array>) {
    v.on_array(name, member);
  } else if constexpr (std::is_base_of_v<Module, T>) {
    v.on_module(name, member);
  } else if constexpr (VisitsItself<T>) {
    member.accept(v, name);
  } else if constexpr (detail::is_optional<T>) {
    if (member) visit_member(v, name, *member);
  } else if constexpr (detail::is_vector<T>) {
    v.open(name, Tree::Kind::list);
    for (size_t i = 0; i < member.size(); ++i) {
      visit_member(v, std::to_string(i), member[i]);
    }
    v.close();
  } else if constexpr (detail::is_map<T>) {
    v.open(name, Tree::Kind::map);
    for (auto& [key, item] : member) visit_member(v, key, item);
    v.close();
  } else if constexpr (detail::is_tuple<T>) {
    v.open(name, Tree::Kind::tuple);
    std::apply(
        [&](auto&... items) {
          size_t i = 0;
          (visit_member(v, std::to_string(i++), items), ...);
        },
        member);
    v.close();
  } else {
    static_assert(
        detail::no_member_kind<T>,
        "TREADLE_MODULE takes arrays, modules, nn::Unary, nn::Shared, and "
        "std::optional, vector, map<std::string, .>, pair or tuple of these; "
        "numbers and flags are not listed");
  }
}

}  // namespace treadle::nn

// Stands in a module's body after its members: its name, then the members that
// hold arrays or modules, in the order in which they are to be listed and
// saved.
#define TREADLE_MODULE(Type, ...)                                         \
  std::string_view type_name() const override { return #Type; }           \
  void visit([[maybe_unused]] ::treadle::nn::Visitor& visitor) override { \
    ::treadle::nn::detail::visit_members(                                 \
        visitor, #__VA_ARGS__ __VA_OPT__(, ) __VA_ARGS__);                \
  }
