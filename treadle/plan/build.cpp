// The passes of planning: merge, resolve views, fuse, order.
#include <algorithm>
#include <unordered_map>

#include "treadle/ops/views.h"
#include "treadle/plan/absorb.h"
#include "treadle/plan/fuse.h"
#include "treadle/plan/plan.h"
#include "treadle/plan/recompute.h"

namespace treadle::plan {

namespace {

class Planner {
 public:
  explicit Planner(const Program& p) : p_(p), plan_(std::make_shared<Plan>()) {}

  std::shared_ptr<const Plan> run() {
    drop_unread();
    merge_and_resolve();
    grouping_ = group_nodes(p_, plan_->values, live_);
    find_memory_values();
    emit();
    absorb(p_, *plan_);
    find_last_uses();
    return plan_;
  }

 private:
  PlanValue& value(uint32_t v) { return plan_->values[v]; }
  uint32_t same(uint32_t v) const { return plan_->values[v].same_as; }

  // Follows views (and planner's copies, if through_copies) to the value whose
  // memory is read.
  uint32_t root(uint32_t v) const {
    v = same(v);
    while (plan_->values[v].place == Place::view)
      v = same(plan_->values[v].base);
    return v;
  }

  // A composite's expansion may leave values that nobody reads: a residual
  // output, or inputs that only a kernel would have used.
  void drop_unread() {
    live_.assign(p_.nodes.size(), 0);
    std::vector<uint8_t> read(p_.wanted.begin(), p_.wanted.end());
    for (uint32_t n = uint32_t(p_.nodes.size()); n-- > 0;) {
      const Node& node = *p_.nodes[n].node;
      bool needed = node.op->has_effect();
      for (uint32_t j = 0; j < node.num_outputs; ++j)
        needed = needed || read[p_.nodes[n].first_out + j];
      if (!needed) continue;
      live_[n] = 1;
      for (uint32_t v : p_.inputs_of(n)) read[v] = 1;
    }
  }

  // Equal nodes merge; views find their base; strided inputs of views that need
  // row order get a copy.
  void merge_and_resolve() {
    plan_->values.resize(p_.values.size());
    for (uint32_t v = 0; v < p_.values.size(); ++v) {
      value(v).same_as = value(v).spec = v;
      value(v).wanted = p_.wanted[v];
      if (p_.is_leaf(v)) {
        value(v).place = Place::leaf;
        value(v).contiguous = p_.leaves[v]->contiguous();
      }
    }
    std::unordered_multimap<uint64_t, uint32_t> seen;
    for (uint32_t n = 0; n < p_.nodes.size(); ++n) {
      if (!live_[n]) continue;
      const Node& node = *p_.nodes[n].node;
      uint32_t out = p_.nodes[n].first_out;
      if (as<Identity>(*node.op) && !p_.wanted[out]) {
        // Another name for its input, so that what is made from either merges.
        value(out).same_as = same(p_.inputs_of(n)[0]);
        live_[n] = 0;
        continue;
      }
      if (merge(n, seen)) continue;
      if (node.op->kind() == OpKind::view) {
        resolve_view(n, out);
        continue;
      }
      for (uint32_t j = 0; j < node.num_outputs; ++j) {
        value(out + j).place = Place::memory;
        value(out + j).node = int32_t(n);
      }
    }
  }

  bool merge(uint32_t n, std::unordered_multimap<uint64_t, uint32_t>& seen) {
    const Node& node = *p_.nodes[n].node;
    if (node.op->has_effect()) return false;
    Hasher h;
    node.op->hash_structure(h);
    node.op->hash_sizes(h);
    h.add(node.region);
    for (uint32_t v : p_.inputs_of(n)) h.add(same(v));
    uint64_t key = h.result().lo;
    auto [from, to] = seen.equal_range(key);
    for (auto it = from; it != to; ++it) {
      uint32_t m = it->second;
      const Node& other = *p_.nodes[m].node;
      auto a = p_.inputs_of(n), b = p_.inputs_of(m);
      if (other.region != node.region ||
          other.num_outputs != node.num_outputs ||
          !node.op->same_as(*other.op) ||
          !std::equal(
              a.begin(),
              a.end(),
              b.begin(),
              b.end(),
              [&](uint32_t x, uint32_t y) { return same(x) == same(y); })) {
        continue;
      }
      live_[n] = 0;
      for (uint32_t j = 0; j < node.num_outputs; ++j) {
        uint32_t v = p_.nodes[n].first_out + j,
                 stays = p_.nodes[m].first_out + j;
        value(v).same_as = stays;
        value(stays).wanted = value(stays).wanted || p_.wanted[v];
      }
      return true;
    }
    seen.emplace(key, n);
    return false;
  }

  void resolve_view(uint32_t n, uint32_t out) {
    const Op& op = *p_.nodes[n].node->op;
    uint32_t base = same(p_.inputs_of(n)[0]);
    if (!value(base).contiguous && !op.views_strided()) {
      auto it = copy_of_.find(base);
      if (it == copy_of_.end()) {
        PlanValue copy;
        copy.place = Place::memory;
        copy.same_as = uint32_t(plan_->values.size());
        copy.spec = base;
        it = copy_of_.emplace(base, copy.same_as).first;
        copies_.emplace_back(copy.same_as, base);
        plan_->values.push_back(copy);
        plan_->values.back().base = base;  // for the grouping's dependencies
      }
      base = it->second;
    }
    PlanValue& v = value(out);
    v.place = Place::view;
    v.base = base;
    v.node = int32_t(n);
    v.contiguous = value(base).contiguous && op.keeps_contiguous();
  }

  // A value that only its own group reads, through absorbed views at most,
  // stays on the tape, and so does one that its readers compute again. All
  // others need memory.
  void find_memory_values() {
    needed_.assign(plan_->values.size(), 0);
    auto need = [&](uint32_t v) { needed_[root(v)] = 1; };
    for (uint32_t v = 0; v < p_.values.size(); ++v) {
      if (same(v) == v && value(v).wanted) {
        need(v);
        value(root(v)).owned = true;
      }
    }
    for (uint32_t n = 0; n < p_.nodes.size(); ++n) {
      int32_t g = grouping_.group_of[n];
      if (g < 0) continue;
      const Group& group = grouping_.groups[size_t(g)];
      for (uint32_t v : p_.inputs_of(n)) {
        if (!group.fusible || group_of_value(root(v)) != g) need(v);
      }
    }
    choose_recomputed(p_, plan_->values, grouping_, needed_);
    // Copies in reverse: one may read another.
    for (size_t i = copies_.size(); i-- > 0;) {
      auto [copy, source] = copies_[i];
      if (needed_[copy]) need(source);
    }
    for (uint32_t v = 0; v < plan_->values.size(); ++v) {
      if (value(v).place == Place::memory && same(v) == v && !needed_[v]) {
        value(v).place = Place::none;
      }
    }
  }

  int32_t group_of_value(uint32_t v) {
    if (owner_.empty()) {
      owner_.assign(plan_->values.size(), -1);
      for (uint32_t n = 0; n < p_.nodes.size(); ++n) {
        if (!live_[n]) continue;
        for (uint32_t j = 0; j < p_.nodes[n].node->num_outputs; ++j) {
          owner_[p_.nodes[n].first_out + j] = grouping_.group_of[n];
        }
      }
    }
    return owner_[v];
  }

  void emit() {
    std::vector<uint8_t> copied(plan_->values.size(), 0);
    // A copy runs just before the first step that reads it.
    auto copy_first = [&](uint32_t v, auto& self) -> void {
      uint32_t u = root(v);
      if (u < p_.values.size() || copied[u] || value(u).place != Place::memory)
        return;
      copied[u] = 1;
      uint32_t source = value(u).spec;
      self(source, self);
      PlanStep step;
      step.kind = PlanStep::Kind::copy;
      step.in = {source};
      step.out = {u};
      plan_->steps.push_back(std::move(step));
    };
    for (const Group& group : grouping_.groups) {
      for (uint32_t n : group.nodes) {
        for (uint32_t v : p_.inputs_of(n)) {
          int32_t own = grouping_.group_of[n];
          if (!group.fusible || group_of_value(root(v)) != own)
            copy_first(v, copy_first);
        }
      }
      if (group.fusible) {
        std::vector<uint32_t> outputs;
        for (uint32_t n : group.nodes) {
          uint32_t v = p_.nodes[n].first_out;
          if (needed_[v]) outputs.push_back(v);
        }
        if (!outputs.empty()) {
          plan_->steps.push_back(make_fused(p_, plan_->values, group, outputs));
        }
        continue;
      }
      uint32_t n = group.nodes[0];
      PlanStep step;
      step.kind = PlanStep::Kind::op;
      step.node = int32_t(n);
      for (uint32_t v : p_.inputs_of(n)) step.in.push_back(same(v));
      for (uint32_t j = 0; j < p_.nodes[n].node->num_outputs; ++j) {
        step.out.push_back(p_.nodes[n].first_out + j);
      }
      plan_->steps.push_back(std::move(step));
    }
    // Copies that only a wanted view needs.
    for (auto [copy, source] : copies_) {
      if (needed_[copy]) copy_first(copy, copy_first);
    }
  }

  void find_last_uses() {
    for (uint32_t i = 0; i < plan_->steps.size(); ++i) {
      for (uint32_t v : plan_->steps[i].out) value(v).last_use = i;
      for (uint32_t v : plan_->steps[i].in) value(root(v)).last_use = i;
    }
    for (uint32_t i = 0; i < plan_->steps.size(); ++i) {
      PlanStep& step = plan_->steps[i];
      if (!step.follows) continue;
      const PlanValue& product = value(root(step.in[step.product]));
      step.passing = !product.owned && product.last_use == i;
    }
  }

  const Program& p_;
  std::shared_ptr<Plan> plan_;
  Grouping grouping_;
  std::vector<uint8_t> live_, needed_;
  std::vector<int32_t> owner_;
  std::unordered_map<uint32_t, uint32_t> copy_of_;
  std::vector<std::pair<uint32_t, uint32_t>> copies_;  // (copy, source)
};

}  // namespace

std::shared_ptr<const Plan> build(const Program& program) {
  return Planner(program).run();
}

}  // namespace treadle::plan
