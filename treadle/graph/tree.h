// Tree: nested maps, lists and tuples of arrays, as parameters, gradients and
// optimizer states are. Maps keep the order in which keys were added.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

// A leaf that is not an array (a Python object, say): carried, never looked
// into.
class Opaque {
 public:
  virtual ~Opaque() = default;
  virtual bool same_as(const Opaque& other) const = 0;
  virtual std::string to_string() const = 0;
};

class Tree {
 public:
  enum class Kind : uint8_t { none, leaf, list, tuple, map, opaque };

  Tree() = default;  // none
  Tree(array leaf)
      : kind_(leaf.null() ? Kind::none : Kind::leaf), leaf_(std::move(leaf)) {}
  Tree(std::shared_ptr<const Opaque> o)
      : kind_(Kind::opaque), opaque_(std::move(o)) {}
  static Tree list(std::vector<Tree> items = {}) {
    return {Kind::list, std::move(items)};
  }
  static Tree tuple(std::vector<Tree> items = {}) {
    return {Kind::tuple, std::move(items)};
  }
  static Tree map() { return {Kind::map, {}}; }
  static Tree map(std::initializer_list<std::pair<std::string, Tree>> entries);

  Kind kind() const { return kind_; }
  bool is_none() const { return kind_ == Kind::none; }
  bool is_leaf() const { return kind_ == Kind::leaf; }
  bool is_map() const { return kind_ == Kind::map; }
  bool is_sequence() const {
    return kind_ == Kind::list || kind_ == Kind::tuple;
  }

  // The array of a leaf; throws std::invalid_argument otherwise.
  const array& leaf() const;
  const std::shared_ptr<const Opaque>& opaque() const { return opaque_; }

  // Children of a map, list or tuple; 0 for others.
  size_t size() const { return items_.size(); }
  const std::vector<Tree>& items() const { return items_; }
  std::vector<Tree>& items() { return items_; }
  const std::vector<std::string>& keys() const { return keys_; }
  const Tree& operator[](size_t i) const { return items_[i]; }
  Tree& operator[](size_t i) { return items_[i]; }

  // Of a map: the child, or null when there is none.
  const Tree* find(std::string_view key) const;
  Tree* find(std::string_view key);
  // Of a map: the child; throws std::out_of_range naming the keys there are.
  const Tree& at(std::string_view key) const;
  // Of a map: the child, added as none when there is none. A none becomes a
  // map.
  Tree& operator[](std::string_view key);
  void push_back(Tree t) { items_.push_back(std::move(t)); }

  // The arrays, in order.
  Arrays leaves() const;
  size_t num_leaves() const;
  // Arrays with their dotted paths: "layers.0.weight".
  std::vector<std::pair<std::string, array>> flatten(
      const std::string& prefix = "") const;
  // The tree of dotted paths; numeric path parts from 0 on become lists.
  static Tree unflatten(const std::vector<std::pair<std::string, array>>& flat);
  // The same tree with other arrays in it; takes num_leaves() of them.
  Tree with_leaves(std::span<const array> leaves) const;
  // The same tree with f applied to every array.
  Tree map_leaves(const std::function<array(const array&)>& f) const;
  // The same with f over the leaves at equal places of both; throws when the
  // trees differ in form.
  static Tree zip(const Tree& a,
                  const Tree& b,
                  const std::function<array(const array&, const array&)>& f);
  // Equal in kinds, keys, lengths and opaque leaves; arrays are not compared.
  bool same_structure(const Tree& other) const;

 private:
  Tree(Kind kind, std::vector<Tree> items)
      : kind_(kind), items_(std::move(items)) {}

  Kind kind_ = Kind::none;
  array leaf_;
  std::vector<Tree> items_;
  std::vector<std::string> keys_;  // of a map, one for each item
  std::shared_ptr<const Opaque> opaque_;
};

}  // namespace treadle
