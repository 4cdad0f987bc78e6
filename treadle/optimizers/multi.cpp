#include "treadle/optimizers/multi.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "treadle/base/error.h"

namespace treadle::optimizers {

namespace {

constexpr size_t kNobody = size_t(-1);

// True when `text` is what `pattern` describes: * any text, ? one character.
bool matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;  // the star takes one character more
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool covers(const std::string& key, const std::string& path) {
  return matches(key, path) || matches(key + ".*", path);
}

// The tree with none in place of the leaves that others own.
Tree part_of(const Tree& tree,
             const std::vector<size_t>& owners,
             size_t who,
             size_t& next) {
  if (tree.is_leaf()) return owners[next++] == who ? tree : Tree();
  Tree out = tree;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = part_of(tree[i], owners, who, next);
  }
  return out;
}

}  // namespace

MultiOptimizer::MultiOptimizer(std::vector<Part> optimizers,
                               std::vector<Filter> filters)
    : optimizers_(std::move(optimizers)) {
  if (optimizers_.empty() || filters.size() + 1 != optimizers_.size()) {
    invalid("MultiOptimizer",
            fmt::format("got {} optimizers and {} filters; expected a filter "
                        "for each optimizer but the last.",
                        optimizers_.size(),
                        filters.size()));
  }
  owner_ = [filters = std::move(filters)](const std::string& path,
                                          const array& a) {
    size_t i = 0;
    while (i < filters.size() && !filters[i](path, a)) ++i;
    return i;
  };
}

MultiOptimizer::MultiOptimizer(
    std::vector<std::pair<std::string, Part>> by_path, const Tree& parameters) {
  std::vector<std::string> keys;
  size_t rest = kNobody;
  for (auto& entry : by_path) {
    const std::string& key = entry.first;
    if (key == "*" || key == "default") rest = keys.size();
    keys.push_back(key);
    optimizers_.push_back(std::move(entry.second));
  }
  if (keys.empty()) {
    invalid("MultiOptimizer", "got no optimizers; expected at least one.");
  }
  owner_ = [keys, rest](const std::string& path, const array&) {
    size_t best = rest, length = 0;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (i == rest || keys[i].size() < length) continue;
      if (!covers(keys[i], path)) continue;
      best = i;
      length = keys[i].size();
    }
    return best;
  };
  std::vector<std::string> lost;
  for (const auto& [path, a] : parameters.flatten()) {
    if (owner_(path, a) == kNobody) lost.push_back(path);
  }
  if (!lost.empty()) {
    invalid("MultiOptimizer",
            fmt::format("no optimizer takes {}; the keys are {}. Add a key, or "
                        "\"*\" for the rest.",
                        fmt::join(lost, ", "),
                        fmt::join(keys, ", ")));
  }
}

std::vector<size_t> MultiOptimizer::owners(const Tree& tree) const {
  std::vector<size_t> out;
  for (const auto& [path, a] : tree.flatten()) {
    out.push_back(owner_(path, a));
    if (out.back() == kNobody) {
      invalid("MultiOptimizer", fmt::format("no optimizer takes '{}'.", path));
    }
  }
  return out;
}

void MultiOptimizer::init(const Tree& parameters) {
  const std::vector<size_t> who = owners(parameters);
  for (size_t i = 0; i < optimizers_.size(); ++i) {
    size_t next = 0;
    optimizers_[i]->init(part_of(parameters, who, i, next));
  }
}

Tree MultiOptimizer::apply_gradients(const Tree& gradients,
                                     const Tree& parameters) {
  const std::vector<size_t> who = owners(gradients);
  Arrays out(who.size());
  for (size_t i = 0; i < optimizers_.size(); ++i) {
    size_t next = 0;
    Tree part = part_of(gradients, who, i, next);
    Arrays updated = optimizers_[i]->apply_gradients(part, parameters).leaves();
    size_t k = 0;
    for (size_t leaf = 0; leaf < who.size(); ++leaf) {
      if (who[leaf] == i) out[leaf] = updated[k++];
    }
  }
  return gradients.with_leaves(out);
}

const Tree& MultiOptimizer::state() const {
  Tree list = Tree::list();
  for (const Part& o : optimizers_) list.push_back(o->state());
  states_ = Tree::map({{"states", list}});
  return states_;
}

void MultiOptimizer::set_state(Tree state) {
  Tree* list = state.is_map() ? state.find("states") : nullptr;
  if (!list || list->size() != optimizers_.size()) {
    invalid("MultiOptimizer",
            fmt::format("the state needs a list \"states\" of {} entries.",
                        optimizers_.size()));
  }
  for (size_t i = 0; i < optimizers_.size(); ++i) {
    optimizers_[i]->set_state(std::move((*list)[i]));
  }
}

void MultiOptimizer::set_learning_rate(const array& rate) {
  for (const Part& o : optimizers_) o->set_learning_rate(rate);
}

Tree MultiOptimizer::init_single(const array&) const { return Tree(); }
Arrays MultiOptimizer::apply(const Batch&) { return {}; }

}  // namespace treadle::optimizers
