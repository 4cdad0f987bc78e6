#include "treadle/optimizers/multi.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "treadle/base/error.h"
#include "treadle/optimizers/paths.h"

namespace treadle::optimizers {

namespace {

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
  for (size_t i = 0; i < optimizers_.size(); ++i) {
    names_.push_back(std::to_string(i));
  }
  owner_ = [filters = std::move(filters)](const std::string& path,
                                          const array& a) {
    size_t i = 0;
    while (i < filters.size() && !filters[i](path, a)) ++i;
    return std::optional(i);
  };
}

MultiOptimizer::MultiOptimizer(
    std::vector<std::pair<std::string, Part>> by_path, const Tree& parameters) {
  for (auto& entry : by_path) {
    names_.push_back(std::move(entry.first));
    optimizers_.push_back(std::move(entry.second));
  }
  if (names_.empty()) {
    invalid("MultiOptimizer", "got no optimizers; expected at least one.");
  }
  owner_ = [keys = names_](const std::string& path, const array&) {
    return key_of(keys, path);
  };
  std::vector<std::string> paths, lost;
  for (const auto& [path, a] : parameters.flatten()) {
    paths.push_back(path);
    if (!owner_(path, a)) lost.push_back(path);
  }
  if (!lost.empty()) {
    invalid("MultiOptimizer",
            fmt::format("no optimizer takes {}; the keys are {}. Add a key, or "
                        "\"*\" for the rest.",
                        fmt::join(lost, ", "),
                        fmt::join(names_, ", ")));
  }
  check_keys("MultiOptimizer", names_, paths);
}

std::vector<size_t> MultiOptimizer::owners(const Tree& tree) const {
  std::vector<size_t> out;
  for (const auto& [path, a] : tree.flatten()) {
    std::optional<size_t> who = owner_(path, a);
    if (!who) {
      invalid("MultiOptimizer", fmt::format("no optimizer takes '{}'.", path));
    }
    out.push_back(*who);
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

void MultiOptimizer::set_learning_rate(const Rate& rate) {
  for (const Part& o : optimizers_) o->set_learning_rate(rate);
}

Optimizer& MultiOptimizer::add_group(std::string paths, Group) {
  invalid("MultiOptimizer",
          fmt::format("'{}' cannot be a group; add groups to the optimizers.",
                      paths));
}

Tree MultiOptimizer::init_single(const array&) const { return Tree(); }
array MultiOptimizer::apply_single(const array&, const array& w, Tree&) {
  return w;
}

}  // namespace treadle::optimizers
