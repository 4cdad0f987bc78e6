#include "treadle/backend/cuda/tape_analysis.h"

#include <algorithm>
#include <stdexcept>

namespace treadle::backend::cuda {
namespace {

using plan::OutputForm;
using plan::Tape;
using plan::TapeValue;
using Code = TapeValue::Code;

[[noreturn]] void malformed(const std::string& what) {
  throw std::logic_error("[cuda tape] " + what + ".");
}

// Registers of 4 bytes that one element of a lane takes.
int registers(plan::Lane lane) {
  using plan::Lane;
  return lane == Lane::f32 || lane == Lane::i32 || lane == Lane::u32 ? 1 : 2;
}

void require_sound(const Tape& tape, const LayoutClass& layout) {
  if (layout.operands.size() != tape.operands.size()) {
    malformed("the layout is of " + std::to_string(layout.operands.size()) +
              " operands, the tape of " + std::to_string(tape.operands.size()));
  }
  for (size_t i = 0; i < tape.values.size(); ++i) {
    const TapeValue& v = tape.values[i];
    const std::string at = "value " + std::to_string(i);
    for (int k = 0; k < arity(v); ++k) {
      if (argument(v, k) >= i) malformed(at + " uses a later value");
      if (v.code == Code::row && v.uniform &&
          !tape.values[argument(v, k)].uniform) {
        malformed(at + " is one number per row, made of several");
      }
    }
    if (v.code == Code::load && v.index >= tape.operands.size()) {
      malformed(at + " loads an operand that is not there");
    }
    if (v.code != Code::store && v.code != Code::reduce_column) continue;
    if (v.index >= tape.outputs.size()) {
      malformed(at + " goes to an output that is not there");
    }
    const OutputForm form = tape.outputs[v.index].form;
    if ((form == OutputForm::column) != (v.code == Code::reduce_column)) {
      malformed(at + " does not suit the form of its output");
    }
    if (form == OutputForm::row && !tape.values[v.a].uniform) {
      malformed(at + " stores many numbers into one per row");
    }
    if (form != OutputForm::full && tape.inner_axes == 0) {
      malformed(at + " reduces, but the tape has no row");
    }
  }
}

int width_of(const Tape& tape, const LayoutClass& layout) {
  if (!layout.vector) return 1;
  size_t smallest = 16, largest = 1;
  auto see = [&](Dtype t) {
    smallest = std::min(smallest, size_of(t));
    largest = std::max(largest, size_of(t));
  };
  for (size_t i = 0; i < tape.operands.size(); ++i) {
    if (layout.operands[i] == Access::strided) {
      malformed("vectors of strided operands");
    }
    if (layout.operands[i] == Access::dense) see(tape.operands[i]);
  }
  for (const auto& out : tape.outputs) {
    if (out.form == OutputForm::full) see(out.dtype);
  }
  return int(std::min(16 / smallest, std::max<size_t>(1, 32 / largest)));
}

}  // namespace

int arity(const TapeValue& v) {
  if (v.code == Code::load) return 0;
  return v.code == Code::row ? info(v.row).arity : 1;
}

bool is_sink(const TapeValue& v) {
  return v.code == Code::store || v.code == Code::reduce_row ||
         v.code == Code::reduce_column;
}

Analysis analyse(const Tape& tape, const LayoutClass& layout) {
  require_sound(tape, layout);
  const size_t n = tape.values.size();
  Analysis a;
  a.depth.assign(n, 0);
  a.home.assign(n, -1);
  a.kept.assign(n, false);

  bool row_sums = false;
  int column_sums = 0;
  for (size_t i = 0; i < n; ++i) {
    const TapeValue& v = tape.values[i];
    for (int k = 0; k < arity(v); ++k) {
      const int from = argument(v, k);
      const bool reduced = tape.values[from].code == Code::reduce_row;
      a.depth[i] = std::max(a.depth[i], a.depth[from] + reduced);
    }
    a.phases = std::max(a.phases, a.depth[i] + 1);
    row_sums |= v.code == Code::reduce_row;
    column_sums += v.code == Code::reduce_column;
  }

  std::vector<int> last(n, -1);  // the last phase that needs a value
  for (size_t i = n; i-- > 0;) {
    const TapeValue& v = tape.values[i];
    if (is_sink(v)) a.home[i] = last[i] = a.depth[i];
    if (a.home[i] < 0) continue;
    for (int k = 0; k < arity(v); ++k) {
      const int from = argument(v, k);
      if (tape.values[from].uniform) {
        a.home[from] = std::max(a.home[from], 0);
        continue;
      }
      int& home = a.home[from];
      home = home < 0 ? a.home[i] : std::min(home, a.home[i]);
      // A kept value is not computed again, so it needs its inputs only at
      // home.
      last[from] = std::max(last[from], a.home[i]);
    }
  }

  // Registers for one element of a row, in the phase that needs most.
  int cost = 0;
  for (int phase = 0; phase < a.phases; ++phase) {
    int sum = 0;
    for (size_t i = 0; i < n; ++i) {
      const TapeValue& v = tape.values[i];
      if (v.code == Code::reduce_column) sum += registers(v.lane);
      if (v.uniform || is_sink(v) || a.home[i] < 0) continue;
      a.kept[i] = last[i] > a.home[i];
      const bool live = a.home[i] <= phase && phase <= last[i];
      const bool first = phase == 0 && v.code == Code::load;
      if (live && (a.kept[i] || first)) sum += registers(v.lane);
    }
    cost = std::max(cost, sum);
  }

  Geometry& g = a.geometry;
  g.family = row_sums || (tape.inner_axes > 0 && column_sums == 0)
                 ? Family::rows
             : column_sums ? Family::columns
                           : Family::map;
  g.width = width_of(tape, layout);
  g.column_sums = column_sums;
  g.unroll = tape.operands.size() <= 4 ? 2 : 1;
  // A thread keeps so many elements if that takes at most 32 registers, else
  // fewer; few of strided ones, because each prints the way to find it.
  int elements = layout.name() == "strided" ? 4 : g.width == 1 ? 8 : 16;
  while (elements > g.width && elements * cost > 32) elements /= 2;
  g.block_chunks = elements * cost <= 48 ? std::max(1, elements / g.width) : 0;
  g.group_chunks = column_sums == 0 ? g.block_chunks : 0;
  return a;
}

Geometry geometry(const Tape& tape, const LayoutClass& layout) {
  return analyse(tape, layout).geometry;
}

std::string_view LayoutClass::name() const {
  for (Access access : operands) {
    if (access == Access::strided) return "strided";
  }
  return outer == Outer::none ? "contiguous" : "inner-contiguous";
}

}  // namespace treadle::backend::cuda
