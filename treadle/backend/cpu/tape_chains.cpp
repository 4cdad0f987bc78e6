#include "treadle/backend/cpu/tape_chains.h"

#include <algorithm>
#include <utility>

#include "treadle/backend/cpu/row_groups.h"

namespace treadle::backend::cpu {
namespace {

using plan::Lane;
using Kind = Step::Kind;

class ChainMaker {
 public:
  ChainMaker(const plan::Tape& tape,
             const Program& program,
             std::vector<Step>* steps)
      : tape_(tape),
        program_(program),
        steps_(*steps),
        rows_(steps->size()),
        place_(steps->size()),
        maker_(program.num_registers, -1),
        readers_(program.num_registers),
        factors_(steps->size(), false) {
    for (int k = 0; k < count(); ++k) {
      steps_[k].for_inputs([&](uint16_t in) { readers_[in].push_back(k); });
      maker_[steps_[k].reg] = place_[k] = k;
    }
  }

  void run() {
    for (int k = 0; k < count(); ++k) {
      switch (steps_[k].kind) {
        case Kind::store:
          join_store(k);
          break;
        case Kind::reduce:
          join_sum(k);
          break;
        default:
          join(k);
      }
    }
    join_neighbours();
    std::vector<Step> left;
    for (int k = 0; k < count(); ++k) {
      if (place_[k] != k) continue;
      Step& s = left.emplace_back(std::move(steps_[k]));
      if (std::count(place_.begin(), place_.end(), k) == 1) continue;
      s.kind = Kind::chain;
      s.arity = 0;
      s.chain = std::move(rows_[k]);
    }
    steps_ = std::move(left);
    leave_as_they_are();
  }

 private:
  int count() const { return static_cast<int>(steps_.size()); }

  // The functions of the chains that the step may be in, or null.
  const ChainTable* table_of(const Step& s) const {
    const plan::TapeValue& v = tape_.values[s.reg];
    if (s.kind == Kind::reduce) {
      const ChainTable& floats = program_.table.chain[0];
      const bool sums = v.reduce == ReduceKind::sum && v.lane == Lane::f32;
      return sums && floats.sum ? &floats : nullptr;
    }
    if (s.uniform) return nullptr;
    if (s.kind == Kind::convert || s.kind == Kind::store) {
      const ChainTable& floats = program_.table.chain[0];
      const bool rounds =
          is_half(v.dtype) && tape_.values[v.a].lane == Lane::f32 && floats.run;
      return rounds ? &floats : nullptr;
    }
    if (s.kind != Kind::compute) return nullptr;
    // A comparison computes in the lane of what it compares.
    const Lane lane = tape_.values[s.row == Row::select ? v.b : v.a].lane;
    if (lane != Lane::f32 && lane != Lane::f64) return nullptr;
    if (!is_chained(s.row, lane == Lane::f32)) return nullptr;
    const ChainTable& t = program_.table.chain[lane == Lane::f32 ? 0 : 1];
    return t.run ? &t : nullptr;
  }

  // The chain that ends with a register, if step k may go on with it.
  int source(uint16_t reg, int k) const {
    const int m = maker_[reg];
    if (m < 0 || rows_[m].empty() || place_[m] != m) return -1;
    return waits(m, k) ? m : -1;
  }

  // Whether chain m can run where step k stands, and in its chain.
  bool waits(int m, int k) const {
    const Step& s = steps_[m];
    if (s.buffer >= 0 || table_of(s) != table_of(steps_[k])) return false;
    if (rows_[m].size() + 3 > kMostLinks) return false;
    // Nobody before may read what it sets.
    const auto unread = [&](uint16_t r) {
      return std::all_of(readers_[r].begin(), readers_[r].end(), [&](int at) {
        return place_[at] >= k || place_[at] == m;
      });
    };
    return unread(s.reg) &&
           std::all_of(
               rows_[m].begin(), rows_[m].end(), [&](const ChainRow& r) {
                 return r.kind != ChainRow::Kind::keep || unread(r.in[0]);
               });
  }

  void join(int k) {
    Step& s = steps_[k];
    const ChainTable* table = table_of(s);
    if (!table) return;
    s.chain_fns = table;
    std::vector<ChainRow>& rows = rows_[k];
    factors_[k] = are_factors(k);
    if (factors_[k]) {
      rows = {load(s.in[0]), row_of(s, 0)};
      return;
    }
    // Which operand is a product that the row takes as it is.
    int product = -1;
    for (int j = 0; j < s.arity; ++j) {
      const int m = maker_[s.in[j]];
      if (m >= 0 && factors_[m] && waits(m, k)) product = j;
    }
    // Which of its operands is the value of the chain: that of the longest.
    int from = -1, at = product == 0 ? 1 : 0;
    for (int j = 0; j < s.arity; ++j) {
      const auto times = std::count(s.in, s.in + s.arity, s.in[j]);
      const int m = j == product ? -1 : source(s.in[j], k);
      if (m < 0 || (s.arity == 3 && times > 1)) continue;
      if (from < 0 || rows_[m].size() > rows_[from].size()) {
        from = m;
        at = j;
      }
    }
    const uint16_t value = s.in[at];
    if (from < 0) {
      rows.push_back(load(value));
    } else {
      // The chains of other operands come first, in the same pass.
      for (int j = 0; j < s.arity; ++j) {
        const int m =
            s.in[j] == value || j == product ? -1 : source(s.in[j], k);
        if (m < 0 || rows.size() + rows_[m].size() + rows_[from].size() + 4 >
                         kMostLinks) {
          continue;
        }
        take(m, k);
        rows.push_back(keep(s.in[j]));
      }
      take(from, k);
      const auto& readers = readers_[value];
      const bool wanted = std::any_of(
          readers.begin(), readers.end(), [k](int r) { return r != k; });
      if (wanted) rows.push_back(keep(value));
    }
    rows.push_back(row_of(s, at));
    if (product >= 0) {
      const int m = maker_[s.in[product]];
      ChainRow& r = rows.back();
      r.kind = ChainRow::Kind::product;
      r.reads = 2;
      std::copy_n(steps_[m].in, 2, r.in);
      rows_[m].clear();
      hand_over(m, k);
    }
  }

  // Whether step k is a product that its only reader had better take as an
  // operand: nothing is kept for it then. Not if an operand is a chain that
  // would go on here.
  bool are_factors(int k) const {
    const Step& s = steps_[k];
    if (s.row != Row::multiply || s.in[0] == s.in[1] || s.buffer >= 0 ||
        readers_[s.reg].size() != 1) {
      return false;
    }
    for (int j = 0; j < 2; ++j) {
      const uint16_t in = s.in[j] % tape_.values.size();
      if (is_half(tape_.values[in].dtype) ||
          (readers_[s.in[j]].size() == 1 && source(s.in[j], k) >= 0)) {
        return false;
      }
    }
    const Step& reader = steps_[readers_[s.reg][0]];
    return reader.kind == Kind::compute && takes_product(reader.row) &&
           table_of(reader) == table_of(s);
  }

  // The only output, of halves, takes the chain that gives it into itself. With
  // more outputs, one might overwrite what a chain behind it reads.
  void join_store(int k) {
    Step& s = steps_[k];
    const ChainTable* table = table_of(s);
    const int from = table ? source(s.in[0], k) : -1;
    if (from < 0 || tape_.outputs.size() != 1 || readers_[s.in[0]].size() != 1)
      return;
    s.chain_fns = table;
    s.in_parts = program_.one_size;
    take(from, k);
    ChainRow store = {ChainRow::Kind::store};
    store.dtype = tape_.values[s.reg].dtype;
    std::vector<ChainRow>& rows = rows_[k];
    // The store rounds itself.
    if (rows.back().kind == ChainRow::Kind::round &&
        rows.back().dtype == store.dtype) {
      rows.pop_back();
    }
    rows.push_back(store);
  }

  // A sum takes the chain of what it adds up into itself.
  void join_sum(int k) {
    Step& s = steps_[k];
    const ChainTable* table = table_of(s);
    const int from = table ? source(s.in[0], k) : -1;
    if (from < 0) return;
    s.chain_fns = table;
    take(from, k);
    if (readers_[s.in[0]].size() > 1) rows_[k].push_back(keep(s.in[0]));
    rows_[k].push_back({ChainRow::Kind::sum});
  }

  // A chain runs together with an earlier one if they read something in common,
  // or it reads what the other keeps: once through memory instead of twice.
  void join_neighbours() {
    for (int k = 0; k < count(); ++k) {
      if (!has_chain(k)) continue;
      for (int m = k - 1; m >= 0; --m) {
        const Kind kind = steps_[m].kind;
        if (!has_chain(m) || kind == Kind::store || kind == Kind::reduce ||
            !waits(m, k) || !meet(m, k) ||
            rows_[m].size() + rows_[k].size() + 2 > kMostLinks) {
          continue;
        }
        std::vector<ChainRow> rows = std::exchange(rows_[k], {});
        take(m, k);
        rows_[k].push_back(keep(steps_[m].reg));
        rows_[k].insert(rows_[k].end(), rows.begin(), rows.end());
      }
    }
  }
  bool has_chain(int k) const { return !rows_[k].empty() && place_[k] == k; }
  // Whether chain k reads what chain m reads, or what it sets.
  bool meet(int m, int k) const {
    std::vector<bool> known(program_.num_registers, false);
    known[steps_[m].reg] = true;
    for (const ChainRow& r : rows_[m]) {
      const int n = r.kind == ChainRow::Kind::keep ? 1 : r.reads;
      for (int j = 0; j < n; ++j) known[r.in[j]] = true;
    }
    return std::any_of(
        rows_[k].begin(), rows_[k].end(), [&](const ChainRow& r) {
          return std::any_of(
              r.in, r.in + r.reads, [&](uint16_t in) { return known[in]; });
        });
  }

  // Operands that only chains read, and where they can: halves, and numbers of
  // rows.
  void leave_as_they_are() {
    std::vector<bool> floats(program_.num_registers, false), tiles = floats;
    for (const Step& s : steps_) {
      for (int j = 0; j < s.arity; ++j) tiles[s.in[j]] = true;
      for (const ChainRow& r : s.chain) {
        const bool reads_halves = (r.kind == ChainRow::Kind::load ||
                                   r.kind == ChainRow::Kind::binary) &&
                                  s.chain_fns == &program_.table.chain[0];
        for (int j = 0; j < r.reads; ++j) {
          if (!reads_halves) floats[r.in[j]] = true;
        }
      }
    }
    for (Step& s : steps_) {
      if (s.kind != Kind::load && s.kind != Kind::expand) continue;
      s.chained = !s.uniform && !tiles[s.reg];
      s.halves = s.chained && s.kind == Kind::load && !floats[s.reg] &&
                 is_half(tape_.values[s.reg].dtype);
    }
  }

  // The rows of chain m become the next ones of chain k.
  void take(int m, int k) {
    rows_[k].insert(rows_[k].end(), rows_[m].begin(), rows_[m].end());
    rows_[m].clear();
    hand_over(m, k);
  }
  void hand_over(int m, int k) {
    std::replace(place_.begin(), place_.end(), m, k);
    steps_[k].weight = static_cast<uint8_t>(
        std::min(255, steps_[k].weight + steps_[m].weight / 2));
  }

  static ChainRow load(uint16_t reg) {
    ChainRow r = {ChainRow::Kind::load};
    r.reads = 1;
    r.in[0] = reg;
    return r;
  }

  ChainRow keep(uint16_t reg) const {
    ChainRow r = {ChainRow::Kind::keep};
    r.in[0] = reg;
    r.output = steps_[maker_[reg]].output;
    return r;
  }

  ChainRow row_of(const Step& s, int at) const {
    ChainRow r = {ChainRow::Kind::unary, s.row, static_cast<uint8_t>(at)};
    if (s.kind == Kind::convert) {
      r.kind = ChainRow::Kind::round;
      r.dtype = tape_.values[s.reg].dtype;
    } else if (s.arity == 2 && s.in[0] == s.in[1]) {
      r.kind = ChainRow::Kind::twice;
    } else if (s.arity > 1) {
      r.kind = s.arity == 2 ? ChainRow::Kind::binary : ChainRow::Kind::select;
      for (int j = 0; j < s.arity; ++j) {
        if (j != at) r.in[r.reads++] = s.in[j];
      }
    }
    return r;
  }

  const plan::Tape& tape_;
  const Program& program_;
  std::vector<Step>& steps_;
  std::vector<std::vector<ChainRow>> rows_;  // by the step that ends them
  std::vector<int> place_;  // by step: the one whose chain has it
  std::vector<int> maker_;  // by register
  std::vector<std::vector<int>> readers_;
  std::vector<bool> factors_;  // by step: see are_factors
};

}  // namespace

void make_chains(const plan::Tape& tape,
                 const Program& program,
                 std::vector<Step>* steps) {
  ChainMaker(tape, program, steps).run();
}

}  // namespace treadle::backend::cpu
