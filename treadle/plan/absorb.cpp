#include "treadle/plan/absorb.h"

#include <algorithm>

#include "treadle/ops/conv.h"
#include "treadle/ops/random.h"

namespace treadle::plan {

namespace {

// Ops of which some kernel lets the next step work on each piece of a result.
bool may_be_followed(const Op& op) {
  return is_product(op) || as<RandomBits>(op);
}

bool has_reduction(const Tape& tape) {
  return std::any_of(
      tape.values.begin(), tape.values.end(), [](const TapeValue& v) {
        return v.code == TapeValue::Code::reduce_row ||
               v.code == TapeValue::Code::reduce_column;
      });
}

class Absorber {
 public:
  Absorber(const Program& p, Plan& plan) : p_(p), plan_(plan) {}

  void run() {
    made_at_.assign(plan_.values.size(), -1);
    for (size_t i = 0; i < plan_.steps.size(); ++i) note(i);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      PlanStep& step = plan_.steps[i];
      if (step.kind != PlanStep::Kind::fused || step.follows ||
          has_reduction(static_cast<const Fused&>(*step.fused).tape)) {
        continue;
      }
      consider(i);
    }
  }

 private:
  void note(size_t i) {
    for (uint32_t v : plan_.steps[i].out) made_at_[v] = int32_t(i);
  }
  uint32_t same(uint32_t v) const { return plan_.values[v].same_as; }
  uint32_t root(uint32_t v) const {
    v = same(v);
    while (plan_.values[v].place == Place::view) {
      v = same(plan_.values[v].base);
    }
    return v;
  }
  const Spec& spec(uint32_t v) const { return p_.spec(plan_.values[v].spec); }

  // v is all of its root, in the same order.
  bool is_all(uint32_t v) const {
    v = same(v);
    const uint32_t r = root(v);
    if (size_of(spec(v).shape) != size_of(spec(r).shape)) return false;
    while (plan_.values[v].place == Place::view) {
      const Op& op = *p_.nodes[size_t(plan_.values[v].node)].node->op;
      if (!op.keeps_contiguous()) return false;
      v = same(plan_.values[v].base);
    }
    return true;
  }

  // Looks for the latest product among what step i reads.
  void consider(size_t i) {
    const PlanStep& step = plan_.steps[i];
    int32_t latest = -1;
    for (uint32_t v : step.in) latest = std::max(latest, made_at_[root(v)]);
    if (latest < 0) return;
    const size_t at = size_t(latest);
    const PlanStep& maker = plan_.steps[at];
    if (maker.kind != PlanStep::Kind::op || maker.out.size() != 1 ||
        !may_be_followed(*p_.nodes[size_t(maker.node)].node->op) ||
        (at + 1 < plan_.steps.size() && plan_.steps[at + 1].follows)) {
      return;
    }
    // Read once, as it is, over the whole space.
    int32_t read_at = -1;
    for (size_t k = 0; k < step.in.size(); ++k) {
      if (root(step.in[k]) != maker.out[0]) continue;
      if (read_at >= 0 || !is_all(step.in[k]) ||
          spec(step.in[k]).shape != spec(step.space).shape) {
        return;
      }
      read_at = int32_t(k);
    }
    for (const TapeOutput& o :
         static_cast<const Fused&>(*step.fused).tape.outputs) {
      if (o.form != OutputForm::full) return;
    }
    if (!may_move(i, at)) return;
    plan_.steps[i].follows = true;
    plan_.steps[i].product = uint32_t(read_at);
    const auto from = plan_.steps.begin() + std::ptrdiff_t(i);
    std::rotate(plan_.steps.begin() + std::ptrdiff_t(at) + 1, from, from + 1);
    for (size_t k = at + 1; k <= i; ++k) note(k);
  }

  // Step i may run after step `to`: what lies between reads no array that i
  // might have updated in place.
  bool may_move(size_t i, size_t to) const {
    std::vector<uint32_t> leaves;
    for (uint32_t v : plan_.steps[i].in) {
      const uint32_t r = root(v);
      if (plan_.values[r].place == Place::leaf && !spec(r).shape.empty()) {
        leaves.push_back(r);
      }
    }
    for (size_t k = to + 1; k < i; ++k) {
      for (uint32_t v : plan_.steps[k].in) {
        if (std::find(leaves.begin(), leaves.end(), root(v)) != leaves.end()) {
          return false;
        }
      }
    }
    return true;
  }

  const Program& p_;
  Plan& plan_;
  std::vector<int32_t> made_at_;  // by value: the step
};

}  // namespace

void absorb(const Program& program, Plan& plan) {
  Absorber(program, plan).run();
}

}  // namespace treadle::plan
