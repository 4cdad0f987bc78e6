#include "treadle/optimizers/optimizer.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"

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

}  // namespace

Arrays Optimizer::Batch::get(std::string_view name) const {
  Arrays out;
  for (const Tree* s : states) out.push_back(s->at(name).leaf());
  return out;
}

void Optimizer::Batch::set(std::string_view name, Arrays values) const {
  for (size_t i = 0; i < states.size(); ++i)
    (*states[i])[name] = Tree(std::move(values[i]));
}

Optimizer::Optimizer() { state_["step"] = Tree(array(Scalar(0), uint64)); }

Optimizer::Optimizer(const Rate& learning_rate) : Optimizer() {
  schedule_ = learning_rate.schedule();
  state_["learning_rate"] = Tree(learning_rate.at(step()));
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
  init(gradients);
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
  for_each_pair(gradients,
                state_,
                false,
                "",
                [&](const std::string&, const array&, Tree& s) {
                  batch.states.push_back(&s);
                });

  if (schedule_) set_learning_rate(schedule_(step()));
  state_["step"] = Tree(step() + 1);
  return gradients.with_leaves(apply(batch));
}

CapturedState captured(Optimizer& optimizer) {
  return {[&optimizer] { return optimizer.state().leaves(); },
          [&optimizer](const Arrays& values) {
            optimizer.set_state(optimizer.state().with_leaves(values));
          }};
}

}  // namespace treadle::optimizers
