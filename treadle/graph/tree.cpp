#include "treadle/graph/tree.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "treadle/base/error.h"

namespace treadle {

namespace {

std::string_view name_of(Tree::Kind kind) {
  constexpr std::string_view names[] = {
      "none", "array", "list", "tuple", "map", "opaque"};
  return names[static_cast<int>(kind)];
}

std::string joined(const std::string& prefix, std::string_view key) {
  return prefix.empty() ? std::string(key) : prefix + "." + std::string(key);
}

void flatten_into(const Tree& t,
                  const std::string& path,
                  std::vector<std::pair<std::string, array>>& out) {
  if (t.is_leaf()) out.emplace_back(path, t.leaf());
  for (size_t i = 0; i < t.size(); ++i) {
    flatten_into(
        t[i], joined(path, t.is_map() ? t.keys()[i] : std::to_string(i)), out);
  }
}

template <class F>
void visit_leaves(const Tree& t, const F& f) {
  if (t.is_leaf()) f(t.leaf());
  for (const Tree& c : t.items()) visit_leaves(c, f);
}

Tree replace_leaves(const Tree& t, std::span<const array>& rest) {
  if (t.is_leaf()) {
    if (rest.empty()) invalid("Tree", "with_leaves got too few arrays.");
    array a = rest.front();
    rest = rest.subspan(1);
    return Tree(a);
  }
  Tree out = t;
  for (Tree& c : out.items()) c = replace_leaves(c, rest);
  return out;
}

// A map whose keys are 0, 1, ... becomes a list, at every level.
Tree lists_from_numbers(Tree t) {
  for (Tree& c : t.items()) c = lists_from_numbers(std::move(c));
  if (!t.is_map() || t.size() == 0) return t;
  std::vector<Tree> items(t.size());
  for (size_t i = 0; i < t.size(); ++i) {
    const std::string& k = t.keys()[i];
    size_t at = 0;
    auto [end, error] = std::from_chars(k.data(), k.data() + k.size(), at);
    if (error != std::errc() || end != k.data() + k.size() || at >= t.size())
      return t;
    items[at] = t[i];
  }
  return Tree::list(std::move(items));
}

}  // namespace

Tree Tree::map(std::initializer_list<std::pair<std::string, Tree>> entries) {
  Tree t = map();
  for (const auto& [key, value] : entries) t[key] = value;
  return t;
}

const array& Tree::leaf() const {
  if (kind_ != Kind::leaf) {
    invalid("Tree",
            fmt::format("expected an array, got a {}.", name_of(kind_)));
  }
  return leaf_;
}

const Tree* Tree::find(std::string_view key) const {
  auto it = std::find(keys_.begin(), keys_.end(), key);
  return it == keys_.end() ? nullptr : &items_[size_t(it - keys_.begin())];
}
Tree* Tree::find(std::string_view key) {
  return const_cast<Tree*>(std::as_const(*this).find(key));
}

const Tree& Tree::at(std::string_view key) const {
  if (const Tree* t = find(key)) return *t;
  out_of_range(
      "Tree",
      fmt::format(
          "no entry '{}'; there are: {}.", key, fmt::join(keys_, ", ")));
}

Tree& Tree::operator[](std::string_view key) {
  if (kind_ == Kind::none) kind_ = Kind::map;
  if (kind_ != Kind::map) {
    invalid("Tree",
            fmt::format(
                "'{}' asked of a {}; expected a map.", key, name_of(kind_)));
  }
  if (Tree* t = find(key)) return *t;
  keys_.emplace_back(key);
  return items_.emplace_back();
}

Arrays Tree::leaves() const {
  Arrays out;
  visit_leaves(*this, [&](const array& a) { out.push_back(a); });
  return out;
}

size_t Tree::num_leaves() const {
  size_t n = 0;
  visit_leaves(*this, [&](const array&) { ++n; });
  return n;
}

std::vector<std::pair<std::string, array>> Tree::flatten(
    const std::string& prefix) const {
  std::vector<std::pair<std::string, array>> out;
  flatten_into(*this, prefix, out);
  return out;
}

Tree Tree::unflatten(const std::vector<std::pair<std::string, array>>& flat) {
  Tree root = map();
  for (const auto& [path, value] : flat) {
    Tree* at = &root;
    for (size_t from = 0; from <= path.size();) {
      size_t to = std::min(path.find('.', from), path.size());
      at = &(*at)[std::string_view(path).substr(from, to - from)];
      from = to + 1;
    }
    *at = Tree(value);
  }
  return lists_from_numbers(std::move(root));
}

Tree Tree::with_leaves(std::span<const array> leaves) const {
  Tree t = replace_leaves(*this, leaves);
  if (!leaves.empty()) invalid("Tree", "with_leaves got too many arrays.");
  return t;
}

Tree Tree::map_leaves(const std::function<array(const array&)>& f) const {
  if (is_leaf()) return Tree(f(leaf_));
  Tree out = *this;
  for (Tree& c : out.items_) c = c.map_leaves(f);
  return out;
}

Tree Tree::zip(const Tree& a,
               const Tree& b,
               const std::function<array(const array&, const array&)>& f) {
  if (a.kind_ != b.kind_ || a.size() != b.size() || a.keys_ != b.keys_) {
    invalid("Tree",
            fmt::format("two trees differ in form: a {} of {} against a {} "
                        "of {}.",
                        name_of(a.kind_),
                        a.size(),
                        name_of(b.kind_),
                        b.size()));
  }
  if (a.is_leaf()) return Tree(f(a.leaf_, b.leaf_));
  Tree out = a;
  for (size_t i = 0; i < a.size(); ++i) out.items_[i] = zip(a[i], b[i], f);
  return out;
}

bool Tree::same_structure(const Tree& o) const {
  if (kind_ != o.kind_ || keys_ != o.keys_ || size() != o.size()) return false;
  if (kind_ == Kind::opaque && !opaque_->same_as(*o.opaque_)) return false;
  for (size_t i = 0; i < size(); ++i) {
    if (!items_[i].same_structure(o.items_[i])) return false;
  }
  return true;
}

}  // namespace treadle
