// How one call of a tape is cut up: the space as rows, tiles and tasks, and how
// each operand lies in it. Decided by sizes and strides alone, never by the
// number of threads, so that results do not depend on that.
#pragma once

#include <algorithm>
#include <cstdint>

#include "treadle/backend/cpu/tape_program.h"
#include "treadle/base/small_vector.h"
#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// How the tiles of an operand are found.
enum class Access : uint8_t {
  constant,   // one element for the whole space
  linear,     // element i of the space is element i of memory
  row_run,    // within a row, elements lie one after another
  row_splat,  // one element for each row
  turned,  // the next element is that of the next row: read by blocks of rows
  general,
};

struct TapeOperand {
  const char* data;
  int size;  // of an element, in bytes
  Access access;
};

enum class Pass : uint8_t {
  single,  // all steps on a tile at once
  phased,  // all phases on a row, one row after another
  split,   // a phase on all rows, cut into blocks, before the next one
};

struct TapeLayout {
  TapeLayout(const Program& program, const runtime::Task& task);

  int64_t rows, row_length;
  // Outer and inner axes, neighbours merged, and for each operand its strides
  // along them in bytes.
  SmallVector<int64_t, 4> outer, inner;
  SmallVector<int64_t, 24> outer_strides, inner_strides;
  SmallVector<TapeOperand, 8> operands;

  Pass pass;
  int64_t tile;       // elements of a tile at most
  int64_t tile_rows;  // rows of a tile; more than one only if they fit
  int64_t tile_cols;  // columns of a tile
  // A task is a block of rows by a block of columns.
  int64_t task_rows, task_cols;
  int64_t row_blocks, col_blocks;
  int64_t strip_cols;  // columns of a task that are added up together
  bool use_buffers;    // phased: keep expensive values of a row
  int64_t turned_rows,
      turned_cols;  // of a block that turned operands are read by

  // Partial results that tasks share, in the workspace: for each column its
  // accumulators [row_blocks][row_length]; if split, for each reduction its
  // accumulators [rows][col_blocks] and its results [rows].
  SmallVector<int64_t, 4> column_at, partial_at, result_at;
  int64_t workspace;

  int64_t outer_offset(int operand, int64_t row) const {
    return offset(outer, outer_strides, operand, row);
  }
  int64_t inner_offset(int operand, int64_t col) const {
    return offset(inner, inner_strides, operand, col);
  }
  // Calls visit(k, offset of row first + k) for each of `count` rows.
  template <class F>
  void for_rows(int operand, int64_t first, int64_t count, F visit) const {
    const int64_t last = outer[outer.size() - 1];
    const int64_t step = outer_strides[(operand + 1) * outer.size() - 1];
    for (int64_t k = 0; k < count;) {
      const int64_t from = outer_offset(operand, first + k);
      const int64_t end = outer.size() == 1
                              ? count
                              : std::min(count, k + last - (first + k) % last);
      for (int64_t at = from; k < end; ++k, at += step) visit(k, at);
    }
  }
  // Strides of an operand along the merged axes.
  const int64_t* inner_of(int operand) const {
    return inner_strides.data() + operand * inner.size();
  }

 private:
  template <class Axes, class AllStrides>
  static int64_t offset(const Axes& axes,
                        const AllStrides& strides,
                        int operand,
                        int64_t i) {
    const size_t n = axes.size();
    const int64_t* s = strides.data() + operand * n;
    if (n == 1) return i * s[0];
    int64_t at = 0;
    for (size_t k = n; k-- > 0;) {
      at += i % axes[k] * s[k];
      i /= axes[k];
    }
    return at;
  }

  void find_rows(const runtime::Task& task, int inner_axes);
  bool is_turned(int operand) const;
  bool any_turned() const;
  void turn();
  void cut(const Program& program);
};

}  // namespace treadle::backend::cpu
