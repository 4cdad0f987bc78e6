#include "treadle/optimizers/optimizer.h"

#include <map>
#include <ostream>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
#include "treadle/optimizers/paths.h"

namespace treadle::optimizers {

namespace {

std::string joined(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

// Calls f(path, a, b) for every leaf of `a`, with the tree at its place in `b`.
// Where b lacks the place, it is created if `grow`, else an error.
template <class B, class F>
void for_each_pair(
    const Tree& a, B& b, bool grow, const std::string& path, const F& f) {
  if (a.is_none()) return;
  if (a.is_leaf()) {
    f(path, a.leaf(), b);
    return;
  }
  if constexpr (!std::is_const_v<B>) {
    if (grow && b.is_none()) b = a.is_map() ? Tree::map() : Tree::list();
  }
  for (size_t i = 0; i < a.size(); ++i) {
    std::string name = a.is_map() ? a.keys()[i] : std::to_string(i);
    std::string at = joined(path, name);
    B* there = nullptr;
    if constexpr (!std::is_const_v<B>) {
      if (grow && a.is_map()) there = &b[name];
      if (grow && a.is_sequence() && b.is_sequence()) {
        while (b.size() <= i) b.push_back(Tree());
      }
    }
    if (!there && a.is_map() && b.is_map()) there = b.find(name);
    if (!there && a.is_sequence() && b.is_sequence() && i < b.size())
      there = &b[i];
    if (there) {
      for_each_pair(a[i], *there, grow, at, f);
    } else if (a[i].num_leaves() > 0) {
      invalid("apply_gradients",
              fmt::format("there is a gradient for '{}' but no such "
                          "parameter.",
                          at));
    }
  }
}

constexpr size_t kNoGroup = size_t(-1);

// Of the groups that `gives` picks, the one for the path.
template <class Groups, class F>
size_t group_of(const Groups& groups, const std::string& path, const F& gives) {
  std::vector<std::string> keys;
  std::vector<size_t> who;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (!gives(groups[i].values)) continue;
    keys.push_back(groups[i].paths);
    who.push_back(i);
  }
  auto found = key_of(keys, path);
  return found ? who[*found] : kNoGroup;
}

// Exchanges two values, and back at the end.
template <class T>
class Exchanged {
 public:
  Exchanged(T* there, T other) : there_(there), other_(std::move(other)) {
    if (there_) std::swap(*there_, other_);
  }
  Exchanged(const Exchanged&) = delete;
  Exchanged& operator=(const Exchanged&) = delete;
  ~Exchanged() {
    if (there_) std::swap(*there_, other_);
  }

 private:
  T* there_;
  T other_;
};

}  // namespace

std::ostream& operator<<(std::ostream& out, const Schedule& schedule) {
  return out << schedule.to_string();
}

Arrays Optimizer::Batch::get(std::string_view name) const {
  Arrays out;
  for (size_t i = 0; i < states.size(); ++i) {
    const Tree* entry = states[i]->find(name);
    check_state(paths[i], name, entry, parameters[i].shape());
    out.push_back(entry->leaf());
  }
  return out;
}

void Optimizer::Batch::set(std::string_view name, Arrays values) const {
  for (size_t i = 0; i < states.size(); ++i)
    (*states[i])[name] = Tree(std::move(values[i]));
}

void check_state(const std::string& path,
                 std::string_view name,
                 const Tree* entry,
                 const Shape& shape) {
  if (entry && entry->is_leaf() && entry->leaf().shape() == shape) return;
  invalid(
      "apply_gradients",
      fmt::format("the state of '{}' has {} '{}'; expected one of shape {}. "
                  "Is it the state of another optimizer or model?",
                  path,
                  entry && entry->is_leaf()
                      ? "a " + to_string(entry->leaf().shape()) + " as"
                      : "no",
                  name,
                  to_string(shape)));
}

Optimizer::Batch Optimizer::Batch::part(
    const std::vector<size_t>& places) const {
  Batch out;
  for (size_t i : places) {
    out.gradients.push_back(gradients[i]);
    out.parameters.push_back(parameters[i]);
    out.states.push_back(states[i]);
    out.paths.push_back(paths[i]);
  }
  return out;
}

Optimizer::Optimizer() { state_["step"] = Tree(array(Scalar(0), uint64)); }

Optimizer::Optimizer(const Rate& learning_rate) : Optimizer() {
  Optimizer::set_learning_rate(learning_rate);
}

void Optimizer::set_learning_rate(const Rate& rate) {
  if (rate.schedule()) schedule_ = rate.schedule();
  state_["learning_rate"] = Tree(rate.at(step()));
}

Optimizer& Optimizer::add_group(std::string paths, Group values) {
  if (values.weight_decay && !weight_decay()) {
    invalid("add_group",
            fmt::format("'{}' is given a weight decay, which this optimizer "
                        "does not have.",
                        paths));
  }
  if (!values.learning_rate && !values.weight_decay) {
    invalid("add_group",
            fmt::format("'{}' is given neither a learning rate nor a weight "
                        "decay.",
                        paths));
  }
  if (values.learning_rate && !state_.find("learning_rate")) {
    invalid("add_group",
            fmt::format("'{}' is given a learning rate, but this optimizer "
                        "chooses its own.",
                        paths));
  }
  if (values.learning_rate) {
    Tree now = values.learning_rate->at(step());
    Tree& rates = state_["group_rates"];
    if (rates.is_none()) rates = Tree::list();
    rates.push_back(std::move(now));
  }
  groups_.push_back({std::move(paths), std::move(values)});
  return *this;
}

void Optimizer::init(const Tree& parameters) {
  for_each_pair(parameters,
                state_,
                true,
                "",
                [&](const std::string&, const array& p, Tree& state) {
                  if (state.is_none()) state = init_single(p);
                });
}

Tree Optimizer::apply_gradients(const Tree& gradients, const Tree& parameters) {
  Batch batch;
  for_each_pair(
      gradients,
      parameters,
      false,
      "",
      [&](const std::string& path, const array& g, const Tree& p) {
        if (!p.is_leaf() || p.leaf().shape() != g.shape()) {
          invalid("apply_gradients",
                  fmt::format(
                      "the gradient of '{}' is {}; the parameter is {}.",
                      path,
                      to_string(g.spec()),
                      p.is_leaf() ? to_string(p.leaf().spec()) : "no array"));
        }
        batch.gradients.push_back(g);
        batch.parameters.push_back(p.leaf());
        batch.paths.push_back(path);
      });
  check_groups(parameters);
  init(gradients);
  schedule_rates();  // before entries of the state are pointed at
  const Tree taken = step();
  state_["step"] = Tree(step() + 1);
  for_each_pair(gradients,
                state_,
                false,
                "",
                [&](const std::string&, const array&, Tree& s) {
                  batch.states.push_back(&s);
                });

  try {
    return gradients.with_leaves(groups_.empty() ? apply(batch)
                                                 : apply_by_group(batch));
  } catch (...) {
    state_["step"] = taken;  // a step that fails is none
    throw;
  }
}

void Optimizer::check_groups(const Tree& parameters) {
  if (checked_groups_ == groups_.size()) return;
  std::vector<std::string> keys, paths;
  for (const NamedGroup& group : groups_) keys.push_back(group.paths);
  for (const auto& [path, a] : parameters.flatten()) paths.push_back(path);
  check_keys("add_group", keys, paths);
  checked_groups_ = groups_.size();
}

void Optimizer::schedule_rates() {
  if (schedule_) state_["learning_rate"] = Tree(schedule_(step()));
  size_t next = 0;
  for (const NamedGroup& group : groups_) {
    if (!group.values.learning_rate) continue;
    const Rate& rate = *group.values.learning_rate;
    Tree& rates = state_["group_rates"];
    if (rates.is_none()) rates = Tree::list();
    if (rates.size() == next) {  // the state of an optimizer without groups
      rates.push_back(rate.at(step()));
    } else if (rate.schedule()) {
      rates[next] = rate.at(step());
    }
    ++next;
  }
}

std::vector<std::pair<size_t, size_t>> Optimizer::owners(
    const std::vector<std::string>& paths) const {
  std::vector<std::pair<size_t, size_t>> out;
  out.reserve(paths.size());
  for (const std::string& path : paths) {
    out.emplace_back(
        group_of(groups_,
                 path,
                 [](const Group& g) { return g.learning_rate.has_value(); }),
        group_of(groups_, path, [](const Group& g) {
          return g.weight_decay.has_value();
        }));
  }
  return out;
}

Arrays Optimizer::apply_by_group(const Batch& batch) {
  std::map<std::pair<size_t, size_t>, std::vector<size_t>> parts;
  const auto owner = owners(batch.paths);
  for (size_t i = 0; i < owner.size(); ++i) parts[owner[i]].push_back(i);
  // The place of each group's rate in the state.
  std::vector<size_t> rate_of;
  for (size_t next = 0; const NamedGroup& group : groups_) {
    rate_of.push_back(group.values.learning_rate ? next++ : kNoGroup);
  }

  Arrays out(owner.size());
  for (const auto& [who, places] : parts) {
    const auto& [rates, decays] = who;
    Tree rate;
    if (rates != kNoGroup) rate = state_.at("group_rates")[rate_of[rates]];
    Exchanged own_rate(rates == kNoGroup ? nullptr : &state_["learning_rate"],
                       rate);
    Exchanged own_decay(
        decays == kNoGroup ? nullptr : weight_decay(),
        decays == kNoGroup ? 0 : *groups_[decays].values.weight_decay);
    Arrays updated = apply(batch.part(places));
    for (size_t k = 0; k < places.size(); ++k) {
      out[places[k]] = std::move(updated[k]);
    }
  }
  return out;
}

Arrays Optimizer::apply(const Batch& batch) {
  Arrays out;
  for (size_t i = 0; i < batch.states.size(); ++i) {
    out.push_back(apply_single(
        batch.gradients[i], batch.parameters[i], *batch.states[i]));
  }
  return out;
}

array RuleOptimizer::apply_single(const array& gradient,
                                  const array& parameter,
                                  Tree& state) {
  return rule({{gradient}, {parameter}, {&state}, {""}})[0];
}

Arrays RuleOptimizer::apply(const Batch& batch) {
  const bool whole = whole_ && typeid(*this) == *whole_;
  return whole ? rule(batch) : Optimizer::apply(batch);
}

CapturedState captured(Optimizer& optimizer) {
  return {[&optimizer] { return optimizer.state().leaves(); },
          [&optimizer](const Arrays& values) {
            optimizer.set_state(optimizer.state().with_leaves(values));
          }};
}

}  // namespace treadle::optimizers
