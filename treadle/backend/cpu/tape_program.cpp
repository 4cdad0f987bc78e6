#include "treadle/backend/cpu/tape_program.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "treadle/backend/cpu/row_groups.h"
#include "treadle/backend/cpu/tape_chains.h"

namespace treadle::backend::cpu {
namespace {

using plan::Lane;
using plan::OutputForm;
using plan::Tape;
using plan::TapeValue;
using Code = TapeValue::Code;
using Kind = Step::Kind;

// Whether memory of the dtype is a run of its lane.
bool is_lane_dtype(Dtype t) {
  return !is_half(t) && (size_of(t) >= 4) && t != bool_;
}

int arity(const TapeValue& v) {
  if (v.code == Code::load) return 0;
  return v.code == Code::row ? info(v.row).arity : 1;
}

// Roughly, in vector operations.
int cost(const TapeValue& v) {
  if (v.code == Code::load) return is_lane_dtype(v.dtype) ? 0 : 1;
  if (v.code != Code::row) return 1;
  switch (v.row) {
    case Row::divide:
    case Row::reciprocal:
    case Row::sqrt:
    case Row::rsqrt:
      return 3;
    default:
      return is_function(v.row) || is_division(v.row) ? 8 : 1;
  }
}

// How long a step takes, in additions. Loads and stores of lanes as they are
// take no time, as those who use the values read and write the memory.
int weight(const TapeValue& v) {
  if (v.code == Code::load || v.code == Code::store)
    return is_lane_dtype(v.dtype) ? 0 : 1;
  if (v.code != Code::row) return 1;
  if (is_wide(v.row) || (v.lane != Lane::f32 && is_function(v.row))) return 16;
  return std::min(cost(v), 5);
}

class Builder {
 public:
  Builder(const Tape& tape, const Program& program)
      : tape_(tape),
        program_(program),
        first_store_(tape.values.size(), -1),
        uniform_slot_(2 * tape.values.size(), -1) {
    for (size_t i = 0; i < tape.values.size(); ++i) {
      const TapeValue& v = tape.values[i];
      if (uniform(i) && !is_output(i)) {
        uniform_slot_[i] = static_cast<int16_t>(num_uniform_++);
      }
      if (v.code == Code::store &&
          tape.outputs[v.index].form == OutputForm::full &&
          is_lane_dtype(v.dtype) && first_store_[v.a] < 0 && !uniform(v.a) &&
          tape.values[v.a].code != Code::load) {
        first_store_[v.a] = v.index;
      }
    }
  }

  int num_uniform() const { return num_uniform_; }

  Schedule single() {
    Schedule s;
    s.phases.resize(1);
    Steps steps(*this, &s.phases[0].tile_steps);
    std::vector<size_t> all(tape_.values.size());
    std::iota(all.begin(), all.end(), size_t(0));
    for (size_t i : in_turn(all)) steps.add(i);
    place(&s, true);
    return s;
  }

  Schedule phased(bool saving, bool late) {
    const auto& values = tape_.values;
    const int last = tape_.num_phases() - 1;
    Schedule s;
    s.phases.resize(last + 1);
    buffer_.assign(values.size(), -1);
    std::vector<bool> row_done(values.size(), false);
    std::vector<std::vector<size_t>> wanted(last + 1);
    for (int p = 0; p <= last; ++p) {
      // What this phase must do, and what it needs for that.
      std::vector<size_t> roots;
      for (size_t i = 0; i < values.size(); ++i) {
        if (is_root(i) && !is_row_store(i) && phase_of(i, late, last) == p) {
          roots.push_back(i);
        }
      }
      std::vector<bool> need(values.size(), false);
      std::function<void(size_t)> visit = [&](size_t i) {
        if (need[i]) return;
        need[i] = true;
        if (uniform(i) && !is_root(i)) return;
        if (saving && !is_root(i) && values[i].phase < p && cost_again(i) > 2) {
          if (computed_in(wanted, i)) {
            if (buffer_[i] < 0)
              buffer_[i] = static_cast<int16_t>(s.num_buffers++);
            return;
          }
        }
        for (uint16_t in : inputs(i)) visit(in);
      };
      for (size_t r : roots) visit(r);
      for (size_t i = 0; i < values.size(); ++i) {
        if (need[i]) wanted[p].push_back(i);
      }
    }
    // A buffer is filled by the first phase that computes its value and read by
    // the later ones.
    std::vector<int> first(values.size(), -1);
    for (int p = 0; p <= last; ++p) {
      for (size_t i : wanted[p]) {
        if (first[i] < 0) first[i] = p;
      }
    }
    for (int p = 0; p <= last; ++p) {
      Steps rows(*this, &s.phases[p].row_steps);
      for (size_t i = 0; i < values.size(); ++i) {
        const TapeValue& v = values[i];
        if (!uniform(i) || v.code == Code::reduce_row || is_output(i)) continue;
        if (v.phase == p || (p == 0 && v.code == Code::load)) {
          if (!row_done[i]) rows.add(i);
          row_done[i] = true;
        }
      }
      Steps tiles(*this, &s.phases[p].tile_steps);
      for (size_t i : in_turn(wanted[p])) {
        if (uniform(i) && !is_root(i)) continue;
        if (buffer_[i] >= 0 && first[i] < p) {
          tiles.saved(i, buffer_[i]);
        } else {
          tiles.add(i, buffer_[i]);
        }
      }
    }
    Steps rows(*this, &s.row_outputs);
    for (size_t i = 0; i < values.size(); ++i) {
      if (is_row_store(i)) rows.add(i);
    }
    place(&s, false);
    return s;
  }

  // Whether a late form differs.
  bool stores_early() const {
    const int last = tape_.num_phases() - 1;
    for (size_t i = 0; i < tape_.values.size(); ++i) {
      const TapeValue& v = tape_.values[i];
      if (v.code == Code::store && !is_row_store(i) && v.phase < last)
        return true;
    }
    return false;
  }

  // A row that is one call of SIMD code; its inputs are values of the tape.
  bool in_vectors(const Step& s) const {
    if (s.row == Row::select || s.in[0] >= tape_.values.size()) return false;
    const int lane = static_cast<int>(tape_.values[s.in[0]].lane);
    return s.row_fn != scalar_table().row[static_cast<int>(s.row)][lane];
  }

  std::vector<bool> streams(const Schedule& single) const {
    std::vector<int> uses(tape_.values.size(), 0);
    for (size_t i = 0; i < tape_.values.size(); ++i) {
      for (uint16_t in : inputs(i)) ++uses[in];
    }
    std::vector<bool> result(tape_.outputs.size(), false);
    for (const Step& s : single.phases[0].tile_steps) {
      for (const ChainRow& r : s.chain) {
        if (r.output >= 0) result[r.output] = uses[r.in[0]] == 1;
      }
      if (s.output < 0 || s.reg >= uses.size() || uses[s.reg] != 1) continue;
      result[s.output] =
          s.kind == Kind::chain || (s.kind == Kind::compute && in_vectors(s));
    }
    return result;
  }

  Order order(const Schedule& single) const {
    Order o;
    o.last_read.assign(tape_.operands.size(), -1);
    o.written.assign(tape_.outputs.size(), 1 << 20);
    std::vector<int> operand_of(program_.num_registers, -1);
    int now = 0;
    const auto read = [&](uint16_t in) {
      if (operand_of[in] >= 0) o.last_read[operand_of[in]] = now;
    };
    for (const Step& step : single.phases[0].tile_steps) {
      ++now;
      for (int k = 0; k < step.arity; ++k) read(step.in[k]);
      for (const ChainRow& r : step.chain) {
        ++now;
        for (int k = 0; k < r.reads; ++k) read(r.in[k]);
        if (r.output >= 0) o.written[r.output] = now;
      }
      if (step.kind == Kind::load) {
        operand_of[step.reg] = step.index;
        read(step.reg);
      }
      if (step.output >= 0) o.written[step.output] = now;
    }
    return o;
  }

 private:
  // Without rows, a value said to be uniform comes from constants alone, which
  // the run finds out by itself.
  bool uniform(size_t i) const {
    return tape_.inner_axes > 0 && tape_.values[i].uniform;
  }
  bool is_output(size_t i) const {
    const Code c = tape_.values[i].code;
    return c == Code::store || c == Code::reduce_column;
  }
  // The order of the steps of a tile: values, then outputs that may read an
  // operand where it lies, and last those that may overwrite it, by phase.
  std::vector<size_t> in_turn(std::vector<size_t> values) const {
    const auto turn = [&](size_t i) {
      const TapeValue& v = tape_.values[i];
      if (!is_output(i)) return std::pair(0, 0);
      if (v.code == Code::reduce_column) return std::pair(1, 0);
      const bool reads = tape_.values[v.a].code == Code::load;
      return std::pair(reads ? 2 : 3, int(v.phase));
    };
    std::stable_sort(values.begin(), values.end(), [&](size_t a, size_t b) {
      return turn(a) < turn(b);
    });
    return values;
  }
  bool is_root(size_t i) const {
    return is_output(i) || tape_.values[i].code == Code::reduce_row;
  }
  bool is_row_store(size_t i) const {
    const TapeValue& v = tape_.values[i];
    return v.code == Code::store &&
           tape_.outputs[v.index].form == OutputForm::row;
  }
  int phase_of(size_t i, bool late, int last) const {
    return late && tape_.values[i].code == Code::store ? last
                                                       : tape_.values[i].phase;
  }
  std::vector<uint16_t> inputs(size_t i) const {
    const TapeValue& v = tape_.values[i];
    const uint16_t in[] = {v.a, v.b, v.c};
    return {in, in + arity(v)};
  }
  static bool computed_in(const std::vector<std::vector<size_t>>& wanted,
                          size_t i) {
    for (const auto& w : wanted) {
      if (std::find(w.begin(), w.end(), i) != w.end()) return true;
    }
    return false;
  }
  int cost_again(size_t i) const {
    const TapeValue& v = tape_.values[i];
    if (uniform(i)) return 0;
    int sum = cost(v);
    for (uint16_t in : inputs(i)) {
      if (sum > 16) break;
      if (buffer_[in] < 0) sum += cost_again(in);
    }
    return sum;
  }

  // Appends steps, with the expansions they need.
  class Steps {
   public:
    Steps(Builder& b, std::vector<Step>* list)
        : b_(b), list_(list), expanded_(b.tape_.values.size(), false) {}

    void saved(size_t i, int16_t buffer) {
      Step s = {};
      s.kind = Kind::saved;
      s.reg = static_cast<uint16_t>(i);
      s.size = static_cast<uint8_t>(size_of(b_.tape_.values[i].lane));
      s.index = static_cast<uint16_t>(buffer);
      list_->push_back(s);
    }

    void add(size_t i, int16_t buffer = -1) {
      const Tape& tape = b_.tape_;
      const LaneTable& table = b_.program_.table;
      const TapeValue& v = tape.values[i];
      Step s = {};
      s.reg = static_cast<uint16_t>(i);
      s.uniform = b_.uniform(i) && !b_.is_output(i);
      s.size = static_cast<uint8_t>(size_of(v.lane));
      s.arity = static_cast<uint8_t>(arity(v));
      s.index = v.index;
      s.buffer = buffer;
      s.copies = is_lane_dtype(v.dtype);
      s.weight = static_cast<uint8_t>(
          s.uniform && v.code != Code::reduce_row ? 0 : weight(v));
      uint16_t in[] = {v.a, v.b, v.c};
      const bool row_store = b_.is_row_store(i);
      for (int k = 0; k < s.arity; ++k) {
        const bool takes_tile = !b_.uniform(i) || b_.is_root(i);
        if (b_.uniform(in[k]) && takes_tile && !row_store) {
          in[k] = expanded(in[k]);
        }
      }
      std::copy(in, in + 3, s.in);
      switch (v.code) {
        case Code::load:
          s.kind = Kind::load;
          s.move_fn = table.load[static_cast<int>(v.dtype)];
          break;
        case Code::row: {
          s.kind = Kind::compute;
          s.row = v.row;
          s.in_parts = b_.program_.one_size && !s.uniform;
          const TapeValue& from =
              tape.values[info(v.row).rule == Rule::choose ? v.b : v.a];
          s.row_fn =
              table.row[static_cast<int>(v.row)][static_cast<int>(from.lane)];
          s.output = static_cast<int16_t>(b_.first_store_[i]);
          break;
        }
        case Code::convert:
          s.kind = Kind::convert;
          s.move_fn = table.convert[static_cast<int>(tape.values[v.a].lane)]
                                   [static_cast<int>(v.dtype)];
          s.output = static_cast<int16_t>(b_.first_store_[i]);
          break;
        case Code::reduce_row:
          s.kind = Kind::reduce;
          s.in_parts = true;
          for (size_t r = 0; r < b_.program_.reductions.size(); ++r) {
            if (b_.program_.reductions[r].reg == i)
              s.index = static_cast<uint16_t>(r);
          }
          break;
        case Code::store:
          s.kind = row_store ? Kind::store_row : Kind::store;
          s.move_fn = table.store[static_cast<int>(v.dtype)];
          break;
        case Code::reduce_column:
          s.kind = Kind::column;
          s.in_parts = true;
          for (size_t k = 0; k < b_.program_.columns.size(); ++k) {
            if (b_.program_.columns[k].output == v.index) {
              s.index = static_cast<uint16_t>(k);
            }
          }
          break;
      }
      list_->push_back(s);
    }

   private:
    uint16_t expanded(uint16_t i) {
      const auto reg = static_cast<uint16_t>(b_.tape_.values.size() + i);
      if (!expanded_[i]) {
        expanded_[i] = true;
        Step s = {};
        s.kind = Kind::expand;
        s.reg = reg;
        s.size = static_cast<uint8_t>(size_of(b_.tape_.values[i].lane));
        s.arity = 1;
        s.in[0] = i;
        list_->push_back(s);
      }
      return reg;
    }

    Builder& b_;
    std::vector<Step>* list_;
    std::vector<bool> expanded_;
  };

  // Assigns tiles by the last use of each register.
  void place(Schedule* s, bool single) {
    for (auto& phase : s->phases) {
      for (Step& step : phase.row_steps) step.slot = uniform_slot_[step.reg];
      std::vector<Step>& steps = phase.tile_steps;
      make_chains(tape_, program_, &steps);
      std::vector<int> last_use(program_.num_registers, -1);
      std::vector<int16_t> slot_of(program_.num_registers, -1);
      for (size_t k = 0; k < steps.size(); ++k) {
        steps[k].for_inputs([&](uint16_t in) { last_use[in] = int(k); });
      }
      // A result may take the place of an operand only if no lane is wider than
      // another: then every lane is written after it was read.
      std::vector<int16_t> free;
      // Of the tiles that are held: those which memory of an array never stands
      // for.
      std::vector<bool> held(program_.num_registers, false);
      int num_held = 0;
      const auto hold = [&](uint16_t reg) {
        held[reg] = true;
        s->num_held = std::max(s->num_held, ++num_held);
      };
      for (size_t k = 0; k < steps.size(); ++k) {
        Step& step = steps[k];
        const auto take = [&] {
          if (free.empty())
            free.push_back(static_cast<int16_t>(s->num_slots++));
          const int16_t slot = free.back();
          free.pop_back();
          return slot;
        };
        const auto release = [&] {
          step.for_inputs([&](uint16_t in) {
            int16_t& slot = slot_of[in];
            if (last_use[in] == int(k) && slot >= 0) {
              free.push_back(slot);
              slot = -1;
              num_held -= held[in];
            }
          });
        };
        // What a chain keeps is written before all of its operands are read.
        int16_t blocks = 0;
        for (ChainRow& r : step.chain) {
          if (r.kind != ChainRow::Kind::keep) continue;
          r.block = last_use[r.in[0]] <= int(k);
          r.slot = r.block ? blocks++ : slot_of[r.in[0]] = take();
          if (!r.block && r.output < 0) hold(r.in[0]);
        }
        s->num_blocks = std::max(s->num_blocks, int(blocks));
        if (program_.one_size) release();
        if (single && step.uniform) {
          step.slot = uniform_slot_[step.reg];
        } else if (step.kind == Kind::load || step.kind == Kind::compute ||
                   (step.kind == Kind::chain && !step.stores() &&
                    !step.sums()) ||
                   step.kind == Kind::convert || step.kind == Kind::expand) {
          step.slot = slot_of[step.reg] = take();
          if (last_use[step.reg] < 0) {
            free.push_back(step.slot);
          } else if (step.kind != Kind::load && step.output < 0) {
            hold(step.reg);
          }
        }
        if (!program_.one_size) release();
      }
    }
  }

  const Tape& tape_;
  const Program& program_;
  std::vector<int> first_store_;
  std::vector<int16_t> uniform_slot_;
  std::vector<int16_t> buffer_;
  int num_uniform_ = 0;
};

}  // namespace

Program::Program(const Tape& tape) : table(lane_table()) {
  num_registers = 2 * static_cast<int>(tape.values.size());
  max_size = 4;
  one_size = true;
  for (size_t i = 0; i < tape.values.size(); ++i) {
    const TapeValue& v = tape.values[i];
    max_size = std::max(max_size, static_cast<int>(size_of(v.lane)));
    one_size = one_size && size_of(v.lane) == size_of(tape.values[0].lane);
    const auto fns =
        &table.reduce[static_cast<int>(v.reduce)][static_cast<int>(v.lane)];
    const auto size = static_cast<uint8_t>(size_of(v.lane));
    if (v.code == Code::reduce_row) {
      reductions.push_back({static_cast<uint16_t>(i), size, v.phase, fns});
    } else if (v.code == Code::reduce_column) {
      columns.push_back(
          {v.index, size, fns, table.store[static_cast<int>(v.dtype)]});
    }
  }
  Builder b(tape, *this);
  num_uniform = b.num_uniform();
  single = b.single();
  weight = 0;
  for (const Step& s : single.phases[0].tile_steps) weight += s.weight;
  order = b.order(single);
  streams = b.streams(single);
  find_lone();
  if (!reductions.empty()) {
    saving = b.phased(true, false);
    recomputing = b.phased(false, false);
    if (b.stores_early()) {
      saving_late = b.phased(true, true);
      recomputing_late = b.phased(false, true);
    }
  }
}

void Program::find_lone() {
  const std::vector<Step>& steps = single.phases[0].tile_steps;
  const size_t loads = steps.size() - std::min<size_t>(steps.size(), 2);
  if (loads == 0 || !reductions.empty() || !columns.empty()) return;
  const Step& step = steps[loads];
  if (step.kind != Step::Kind::compute || step.output != 0 || step.uniform ||
      steps.back().kind != Step::Kind::store) {
    return;
  }
  for (size_t i = 0; i < loads; ++i) {
    if (steps[i].kind != Step::Kind::load || !steps[i].copies) return;
    for (int k = 0; k < step.arity; ++k) {
      if (step.in[k] == steps[i].reg) lone_in[k] = steps[i].index;
    }
  }
  lone = static_cast<int>(loads);
}

}  // namespace treadle::backend::cpu
