// From a group of nodes to the tape that computes it.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "treadle/base/environment.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"
#include "treadle/plan/fuse.h"

namespace treadle::plan {

namespace {

// TREADLE_STRICT_HALF=1: every node is rounded to its dtype, so that results do
// not depend on what is fused.
bool strict_half() {
  static const bool strict = environment_flag("TREADLE_STRICT_HALF");
  return strict;
}

class Builder {
 public:
  Builder(const Program& p,
          const std::vector<PlanValue>& values,
          const Group& group,
          const std::vector<uint32_t>& outputs)
      : p_(p), values_(values), group_(group), outputs_(outputs) {
    tape_.inner_axes = std::max(group.inner_axes, 0);
    for (uint32_t n : group.nodes) inside_[p.nodes[n].first_out] = true;
  }

  PlanStep run() {
    step_.kind = PlanStep::Kind::fused;
    step_.space = group_.space;
    step_.members = group_.nodes;
    for (uint32_t n : used_nodes()) add(n);
    drop_rounding();
    find_in_place();
    step_.fused = make_fused(std::move(tape_));
    return std::move(step_);
  }

 private:
  uint16_t push(TapeValue v) {
    tape_.values.push_back(v);
    return uint16_t(tape_.values.size() - 1);
  }
  const TapeValue& at(uint16_t i) const { return tape_.values[i]; }

  uint16_t depends(uint16_t i) const {
    return uint16_t(at(i).phase + (at(i).code == TapeValue::Code::reduce_row));
  }

  uint16_t convert(uint16_t a, Dtype dtype) {
    TapeValue v{};
    v.code = TapeValue::Code::convert;
    v.lane = lane_of(dtype);
    v.dtype = dtype;
    v.a = a;
    v.uniform = at(a).uniform;
    v.phase = depends(a);
    return push(v);
  }

  // The nodes that the outputs depend on: readers of a value elsewhere may have
  // chosen to compute it again.
  std::vector<uint32_t> used_nodes() const {
    std::unordered_set<uint32_t> used(outputs_.begin(), outputs_.end());
    std::vector<uint32_t> nodes;
    for (size_t i = group_.nodes.size(); i-- > 0;) {
      const uint32_t n = group_.nodes[i];
      if (!used.count(p_.nodes[n].first_out)) continue;
      nodes.push_back(n);
      for (uint32_t v : p_.inputs_of(n)) {
        v = values_[v].same_as;
        used.insert(v);
        while (values_[v].place == Place::view) {
          v = values_[values_[v].base].same_as;
          used.insert(v);
        }
      }
    }
    std::reverse(nodes.begin(), nodes.end());
    return nodes;
  }

  // The tape value of a program value: computed here, computed again, or
  // loaded.
  uint16_t value(uint32_t v) {
    v = values_[v].same_as;
    uint32_t u = v;
    while (values_[u].place == Place::view && u < p_.values.size() &&
           !inside_.count(u)) {
      uint32_t next = values_[values_[u].base].same_as;
      if (next >= p_.values.size()) break;
      u = next;
    }
    auto made = tape_value_.find(u);
    if (made != tape_value_.end()) return made->second;
    if (values_[v].place == Place::none) {
      add(uint32_t(values_[v].node));
      return tape_value_.at(v);
    }
    auto loaded = loads_.find(v);
    if (loaded != loads_.end()) return loaded->second;
    const Spec& spec = p_.spec(v);
    TapeValue load{};
    load.code = TapeValue::Code::load;
    load.lane = lane_of(spec.dtype);
    load.dtype = spec.dtype;
    load.index = uint16_t(tape_.operands.size());
    load.uniform =
        tape_.inner_axes > 0 &&
        form_of(spec.shape, p_.spec(group_.space).shape, group_.inner_axes) !=
            Form::full;
    tape_.operands.push_back(spec.dtype);
    step_.in.push_back(v);
    return loads_[v] = push(load);
  }

  void add(uint32_t n) {
    const Op& op = *p_.nodes[n].node->op;
    uint32_t out = p_.nodes[n].first_out;
    Dtype dtype = p_.spec(out).dtype;
    auto inputs = p_.inputs_of(n);
    uint16_t at_tape;
    if (const AsType* cast = as<AsType>(op)) {
      at_tape = convert(value(inputs[0]), cast->dtype);
    } else if (const Reduce* r = as<Reduce>(op)) {
      uint16_t x = value(inputs[0]);
      if (at(x).lane != lane_of(dtype)) x = convert(x, dtype);
      const Shape& space = p_.spec(group_.space).shape;
      bool row = r->axes.front() == int(space.size()) - group_.inner_axes &&
                 int(r->axes.size()) == group_.inner_axes;
      TapeValue v{};
      v.code =
          row ? TapeValue::Code::reduce_row : TapeValue::Code::reduce_column;
      v.lane = at(x).lane;
      v.reduce = r->reduce;
      v.dtype = dtype;
      v.a = x;
      v.phase = depends(x);
      v.uniform = row;
      if (!row) {
        v.index = output(out, dtype, OutputForm::column, 0);
        push(v);
        return;
      }
      at_tape = push(v);
    } else {
      const Row row = static_cast<const Elementwise&>(op).row;
      TapeValue v{};
      v.code = TapeValue::Code::row;
      v.row = row;
      v.lane = lane_of(dtype);
      v.dtype = dtype;
      v.uniform = tape_.inner_axes > 0;
      uint16_t* slots[] = {&v.a, &v.b, &v.c};
      for (size_t i = 0; i < inputs.size(); ++i) {
        uint16_t x = value(inputs[i]);
        *slots[i] = x;
        v.uniform = v.uniform && at(x).uniform;
        v.phase = std::max(v.phase, depends(x));
      }
      at_tape = push(v);
      if (must_wrap(row, dtype)) at_tape = convert(at_tape, dtype);
    }
    bool wanted =
        std::find(outputs_.begin(), outputs_.end(), out) != outputs_.end();
    bool explicit_cast = at(at_tape).code == TapeValue::Code::convert;
    if (is_half(dtype) && (wanted || strict_half()) && !explicit_cast) {
      at_tape = convert(at_tape, dtype);
    }
    tape_value_[out] = at_tape;
    if (!wanted) return;
    OutputForm form = form_of(p_.spec(out).shape,
                              p_.spec(group_.space).shape,
                              group_.inner_axes) == Form::full &&
                              at(at_tape).code != TapeValue::Code::reduce_row
                          ? OutputForm::full
                          : OutputForm::row;
    TapeValue store{};
    store.code = TapeValue::Code::store;
    store.lane = at(at_tape).lane;
    store.dtype = dtype;
    store.a = at_tape;
    store.uniform = at(at_tape).uniform;
    store.phase = depends(at_tape);
    store.index = output(out, dtype, form, at_tape);
    push(store);
  }

  // Results that need not be of their dtype yet: narrow integers may have
  // overflowed, arithmetic on bool may be neither 0 nor 1.
  static bool must_wrap(Row row, Dtype dtype) {
    if (dtype == bool_)
      return info(row).rule != Rule::compare && info(row).rule != Rule::logical;
    return is_integer(dtype) && size_of(dtype) < 4;
  }

  uint16_t output(uint32_t v, Dtype dtype, OutputForm form, uint16_t computed) {
    tape_.outputs.push_back({dtype, form});
    step_.out.push_back(v);
    computed_.push_back(computed);
    return uint16_t(tape_.outputs.size() - 1);
  }

  static int arity(const TapeValue& v) {
    if (v.code == TapeValue::Code::load) return 0;
    return v.code == TapeValue::Code::row ? info(v.row).arity : 1;
  }

  // A store rounds by itself: a conversion to its dtype that nothing else reads
  // is left out.
  void drop_rounding() {
    std::vector<TapeValue>& values = tape_.values;
    std::vector<int> readers(values.size());
    for (const TapeValue& v : values) {
      const uint16_t inputs[] = {v.a, v.b, v.c};
      for (int k = 0; k < arity(v); ++k) ++readers[inputs[k]];
    }
    std::vector<bool> gone(values.size());
    for (TapeValue& v : values) {
      if (v.code != TapeValue::Code::store || readers[v.a] != 1) continue;
      const TapeValue& c = at(v.a);
      if (c.code != TapeValue::Code::convert || c.dtype != v.dtype ||
          c.uniform || at(c.a).lane != c.lane) {
        continue;
      }
      gone[v.a] = true;
      computed_[v.index] = v.a = c.a;
    }
    std::vector<uint16_t> now(values.size());
    uint16_t kept = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      now[i] = kept;
      if (gone[i]) continue;
      TapeValue v = values[i];
      uint16_t* inputs[] = {&v.a, &v.b, &v.c};
      for (int k = 0; k < arity(v); ++k) *inputs[k] = now[*inputs[k]];
      values[kept++] = v;
    }
    values.resize(kept);
    for (auto& [v, load] : loads_) load = now[load];
    for (uint16_t& value : computed_) value = now[value];
  }

  // Output j may lie in operand i's memory when the kernel, going through a
  // tile phase by phase and in tape order, has read the operand for the last
  // time when it writes. A value of an early phase may be computed again in
  // each later phase that uses it, so its operands count as read there too.
  void find_in_place() {
    std::vector<uint32_t> phases(tape_.values.size());  // a bit for each
    std::vector<std::vector<uint16_t>> readers(tape_.values.size());
    for (size_t i = tape_.values.size(); i-- > 0;) {
      const TapeValue& v = tape_.values[i];
      phases[i] |= 1u << std::min<int>(v.phase, 31);
      const uint16_t inputs[] = {v.a, v.b, v.c};
      for (int k = 0; k < arity(v); ++k) {
        if (at(inputs[k]).code != TapeValue::Code::reduce_row)
          phases[inputs[k]] |= phases[i];
        readers[inputs[k]].push_back(uint16_t(i));
      }
    }
    auto read_before = [&](uint16_t load, uint16_t computed) {
      uint32_t phase = std::min<uint32_t>(at(computed).phase, 31);
      for (uint16_t r : readers[load]) {
        uint32_t later = phases[r] >> phase;
        if (later > 1 || (later == 1 && r > computed)) return false;
      }
      return true;
    };
    // What is computed first chooses first, and best what is read last: a
    // moment takes the memory of the old moment, not that of a parameter read
    // before it, whose new value would then need another's.
    struct Choice {
      uint16_t computed, unread;
      std::pair<uint32_t, uint32_t> pair;
      auto operator<=>(const Choice&) const = default;
    };
    std::vector<Choice> choices;
    for (uint32_t j = 0; j < tape_.outputs.size(); ++j) {
      if (tape_.outputs[j].form != OutputForm::full) continue;
      for (const auto& [v, load] : loads_) {
        const TapeValue& l = at(load);
        if (l.uniform || l.dtype != tape_.outputs[j].dtype) continue;
        if (!read_before(load, computed_[j])) continue;
        const uint16_t last = readers[load].empty() ? load : readers[load][0];
        const auto unread = static_cast<uint16_t>(~last);
        choices.push_back({computed_[j], unread, {j, l.index}});
      }
    }
    std::sort(choices.begin(), choices.end());
    for (const Choice& c : choices) step_.in_place.push_back(c.pair);
  }

  const Program& p_;
  const std::vector<PlanValue>& values_;
  const Group& group_;
  const std::vector<uint32_t>& outputs_;
  std::unordered_map<uint32_t, bool> inside_;
  std::unordered_map<uint32_t, uint16_t> tape_value_, loads_;
  std::vector<uint16_t> computed_;  // by output: the tape value stored
  Tape tape_;
  PlanStep step_;
};

}  // namespace

PlanStep make_fused(const Program& program,
                    const std::vector<PlanValue>& values,
                    const Group& group,
                    const std::vector<uint32_t>& outputs) {
  return Builder(program, values, group, outputs).run();
}

}  // namespace treadle::plan
