#include "treadle/backend/cpu/tape_layout.h"

#include <algorithm>

#include "treadle/backend/common/walk.h"

namespace treadle::backend::cpu {
namespace {

// Elements that a task should have at least, so that handing it out costs
// nothing.
constexpr int64_t kTaskElements = 16384;
// Rows longer than this are split between tasks.
constexpr int64_t kLongRow = 65536;
// Bytes of row buffers, so that they stay in the second cache.
constexpr int64_t kBufferBytes = 512 << 10;
// Blocks in which turned operands are read: so many rows, of which one column
// is a run of memory, and bytes that leave room in the second cache.
constexpr int64_t kTurnedRows = 64, kTurnedBytes = 1 << 20;
// Accumulators of this many columns stay near while rows pass; those of longer
// rows are added up a strip of columns at a time.
constexpr int64_t kStripColumns = 16384;
// Rows that share accumulators of columns, if that leaves so many blocks:
// merging costs what adding up several rows does.
constexpr int64_t kColumnRows = 64, kLeastBlocks = 16;
// Accumulators of all row blocks of a column reduction.
constexpr int64_t kColumnCells = 1 << 20;
constexpr int64_t kColumnBlocks = 64;

int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}
int64_t blocks(int64_t n, int64_t size) { return (n + size - 1) / size; }

}  // namespace

TapeLayout::TapeLayout(const Program& program, const runtime::Task& task) {
  const auto& tape = static_cast<const plan::Fused&>(task.op).tape;
  find_rows(task, tape.inner_axes);
  cut(program);
}

void TapeLayout::find_rows(const runtime::Task& task, int inner_axes) {
  const size_t rank = task.space.size();
  const size_t split = rank - static_cast<size_t>(inner_axes);
  rows = row_length = 1;
  for (size_t i = 0; i < rank; ++i)
    (i < split ? rows : row_length) *= task.space[i];

  const bool empty = rows * row_length == 0;
  bool simple = !empty;  // every operand is one run or one element
  for (const runtime::Operand& o : task.in) {
    TapeOperand t = {static_cast<const char*>(o.data),
                     static_cast<int>(size_of(o.dtype)),
                     Access::linear};
    if (empty) {
      t.access = Access::general;
    } else if (!o.contiguous || rows * row_length == 1) {
      const bool one = std::all_of(
          o.strides.begin(), o.strides.end(), [](int64_t s) { return s == 0; });
      if (one || rows * row_length == 1) {
        t.access = Access::constant;
      } else {
        t.access = Access::general;
        simple = false;
      }
    }
    operands.push_back(t);
  }
  if (simple && inner_axes == 0) {
    row_length *= rows;
    rows = 1;
  }
  const size_t n = task.in.size();
  if (simple) {
    // Strides of row-contiguous memory; those of constants are never asked for,
    // except that uniform loads use them.
    outer = {rows};
    inner = {row_length};
    for (const TapeOperand& o : operands) {
      const bool one = o.access == Access::constant;
      outer_strides.push_back(one ? 0 : o.size * row_length);
      inner_strides.push_back(one ? 0 : o.size);
    }
    return;
  }

  // Without rows of its own, a tape gets those of the last merged axis.
  std::vector<Strides> strides(n);
  const auto part = [&](size_t from, size_t to) {
    Shape shape(task.space.begin() + from, task.space.begin() + to);
    for (size_t i = 0; i < n; ++i) {
      const Strides& s = task.in[i].strides;
      strides[i] = Strides(s.begin() + from, s.begin() + to);
    }
    collapse(shape, strides);
    if (shape.empty()) {
      shape.push_back(1);
      for (Strides& s : strides) s.push_back(0);
    }
    return shape;
  };
  const auto keep =
      [&](auto& axes, auto& all, const Shape& shape, size_t from, size_t to) {
        axes.append(shape.begin() + from, shape.begin() + to);
        for (size_t i = 0; i < n; ++i) {
          for (size_t k = from; k < to; ++k) {
            all.push_back(strides[i][k] * operands[i].size);
          }
        }
      };
  if (inner_axes == 0) {
    const Shape shape = part(0, rank);
    if (shape.size() == 1) {
      outer = {1};
      outer_strides.assign(n, 0);
    } else {
      keep(outer, outer_strides, shape, 0, shape.size() - 1);
    }
    keep(inner, inner_strides, shape, shape.size() - 1, shape.size());
    row_length = shape.back();
    rows = 1;
    for (int64_t d : outer) rows *= d;
  } else {
    const Shape out_shape = part(0, split);
    keep(outer, outer_strides, out_shape, 0, out_shape.size());
    const Shape in_shape = part(split, rank);
    keep(inner, inner_strides, in_shape, 0, in_shape.size());
  }
  for (size_t i = 0; i < n; ++i) {
    if (operands[i].access != Access::general) continue;
    const int64_t* s = inner_of(static_cast<int>(i));
    if (inner.size() == 1 && s[0] == operands[i].size) {
      operands[i].access = Access::row_run;
    } else if (std::all_of(
                   s, s + inner.size(), [](int64_t v) { return v == 0; })) {
      operands[i].access = Access::row_splat;
    }
  }
}

bool TapeLayout::is_turned(int operand) const {
  const TapeOperand& o = operands[operand];
  if (o.access != Access::general || inner.size() != 1) return false;
  const size_t last = outer.size() - 1;
  return outer[last] >= 8 &&
         outer_strides[operand * outer.size() + last] == o.size;
}

bool TapeLayout::any_turned() const {
  for (size_t i = 0; i < operands.size(); ++i) {
    if (is_turned(int(i))) return true;
  }
  return false;
}

// Reading a turned operand row by row touches a cache line for every element.
// In blocks of rows, whole lines are used; where the order is free, the space
// is walked in strips that such blocks fit.
void TapeLayout::turn() {
  turned_rows = turned_cols = 0;
  if (tile_rows > 1 || pass == Pass::split) return;
  if (!any_turned()) return;
  turned_cols = pass == Pass::single ? tile_cols : row_length;
  turned_rows = std::min(kTurnedRows, kTurnedBytes / (8 * turned_cols));
  if (turned_rows < 8) return;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (is_turned(int(i))) operands[i].access = Access::turned;
  }
  if (pass == Pass::single) {
    strip_cols = task_cols = tile_cols;
    col_blocks = blocks(row_length, task_cols);
    task_rows = std::max(task_rows, turned_rows);
  }
}

void TapeLayout::cut(const Program& program) {
  const int64_t n = row_length;
  tile = program.max_size > 4 ? 512 : 1024;
  const bool reduces = !program.reductions.empty();
  // Two rows and more share the steps that are done once for a tile of rows,
  // and the accumulators of columns.
  if (n > tile / 4 && n <= tile && (reduces || !program.columns.empty()) &&
      !any_turned()) {
    tile *= 2;
  }
  tile_rows = 1;
  tile_cols = std::max<int64_t>(n, 1);
  pass = Pass::single;
  use_buffers = false;
  if (n <= tile) {
    tile_rows =
        std::min(std::max<int64_t>(rows, 1), tile / std::max<int64_t>(n, 1));
  } else if (rows == 1 && !reduces) {
    // Few tiles leave room for longer ones, of which each costs a little time.
    int held = program.single.num_held;
    for (const TapeOperand& o : operands) {
      const bool in_place = o.access == Access::linear && o.size >= 4;
      held += !in_place && o.access != Access::constant;
    }
    tile_cols = tile * (held == 0 ? 16 : held == 1 ? 4 : held <= 3 ? 2 : 1);
  } else {
    if (!reduces && any_turned()) tile = 512;
    tile_cols = round_up(blocks(n, blocks(n, tile)), 64);
    if (reduces) {
      pass = n > kLongRow ? Pass::split : Pass::phased;
      use_buffers = pass == Pass::phased &&
                    program.saving.num_buffers * n * 8 <= kBufferBytes;
    }
  }

  task_cols = n;
  if (n > tile && pass != Pass::phased) {
    task_cols = std::min(n, round_up(kTaskElements, tile_cols));
  }
  task_cols = std::max<int64_t>(task_cols, 1);
  col_blocks = std::max<int64_t>(1, blocks(n, task_cols));
  task_rows = std::max<int64_t>(1, kTaskElements / task_cols);
  strip_cols = task_cols;
  turn();
  if (!program.columns.empty()) {
    // Few row blocks, because each has accumulators for a whole row.
    const int64_t most = std::max<int64_t>(
        1, std::min(kColumnBlocks, kColumnCells / std::max<int64_t>(n, 1)));
    const int64_t useful = std::max<int64_t>(1, most / col_blocks);
    task_rows = std::max({task_rows,
                          blocks(rows, useful),
                          std::min(kColumnRows, blocks(rows, kLeastBlocks))});
    if (pass == Pass::single && n > kStripColumns) {
      // Tall tasks of few strips: their accumulators are merged once for many
      // rows.
      strip_cols = tile_cols;
      task_cols =
          std::min(task_cols, std::max(tile_cols, round_up(n / 32, tile_cols)));
      col_blocks = blocks(n, task_cols);
      task_rows =
          blocks(rows, std::max<int64_t>(1, kColumnBlocks / col_blocks));
    }
  }
  task_rows = round_up(task_rows, tile_rows);
  strip_cols = std::min(strip_cols, task_cols);
  row_blocks = std::max<int64_t>(1, blocks(rows, task_rows));

  workspace = 0;
  const auto take = [this](int64_t bytes) {
    const int64_t at = workspace;
    workspace += round_up(bytes, 64);
    return at;
  };
  const bool shared = pass != Pass::single || row_blocks > 1;
  for (const Column& c : program.columns) {
    if (!shared) break;
    column_at.push_back(
        take(row_blocks * n * static_cast<int64_t>(c.fns->acc_size)));
  }
  if (pass == Pass::split) {
    for (const Reduction& r : program.reductions) {
      partial_at.push_back(
          take(rows * col_blocks * static_cast<int64_t>(r.fns->acc_size)));
      result_at.push_back(take(rows * r.size));
    }
  }
}

}  // namespace treadle::backend::cpu
