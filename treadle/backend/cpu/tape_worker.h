// The interpreter of tapes: a worker takes blocks of the space and runs the
// steps of the program on them tile by tile. Each thread of a call has one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/tape_layout.h"
#include "treadle/backend/cpu/tape_program.h"
#include "treadle/base/small_vector.h"
#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

// Fetches memory that will be read soon, a few lines at a time in proportion to
// the work done: the steps of a tile touch new memory only at their beginning,
// and without this the memory would rest while they compute.
class Ahead {
 public:
  // More lines at once than this would wait for one another.
  static constexpr int64_t kBurst = 8;

  // Before work of that weight.
  void start(int64_t weight) {
    runs_.clear();
    at_ = 0;
    lines_ = 0;
    weight_ = std::max<int64_t>(weight, 1);
  }
  void add(const char* p, int64_t bytes) {
    if (bytes <= 0) return;
    runs_.push_back({p, p + bytes});
    lines_ += (bytes + kLine - 1) / kLine;
  }
  // The share of work of that weight.
  int64_t share(int64_t weight) const {
    return (lines_ * weight + weight_ - 1) / weight_;
  }
  // A line of each run in turn, so that the hardware sees all runs advance.
  void fetch(int64_t lines) {
    for (; lines > 0 && !runs_.empty(); --lines) {
      if (at_ >= runs_.size()) at_ = 0;
      Run& run = runs_[at_];
      __builtin_prefetch(run.p, 0, 3);
      run.p += kLine;
      if (run.p < run.end) {
        ++at_;
      } else {
        run = runs_.back();
        runs_.pop_back();
      }
    }
  }

 private:
  static constexpr int64_t kLine = 64;
  struct Run {
    const char *p, *end;
  };
  SmallVector<Run, 8> runs_;
  size_t at_ = 0;
  int64_t lines_ = 0, weight_ = 1;
};

// What all workers of a call share.
struct TapeCall {
  const runtime::Task& task;
  const Program& program;
  const TapeLayout& layout;
  const Schedule& schedule;
  SmallVector<bool, 8> direct;  // output: may be computed in place
  SmallVector<bool, 8> stream;  // output: written past the caches
  bool prefetch;                // operands are probably in no cache
  bool far;                     // outputs are probably not in the second cache
};

struct TapeRegister {
  const char* p;
  bool splat;
  LinkForm form = LinkForm::memory;  // of what is no splat
  uint8_t row = 0;       // bytes of one number a row, where chains read those
  bool repeats = false;  // chains read its first row for all rows
};

// Accumulators [col, col + n) of a column as its output.
void write_column(const runtime::Task& task,
                  const Column& c,
                  int64_t col,
                  int64_t n,
                  const char* acc);

// n elements, a stride of bytes apart, one after another; stride 0 repeats one.
void copy_elements(
    int size, char* to, const char* from, int64_t stride, int64_t n);
// A value as a splat.
void fill_splat(void* cell, int size, const void* value);

// A piece of the space: rows from `row` on, columns from `col` on.
struct TapeTile {
  int64_t row, rows, col, n;
};

class TapeWorker {
 public:
  explicit TapeWorker(const TapeCall& call);

  // A block of rows and columns, in one pass.
  void run_single(int64_t row_block, int64_t col_block);

  // A block of rows, phase by phase for each.
  void run_phased(int64_t row_block);

  // One phase of a block of rows and columns; the accumulators go to the
  // workspace.
  void run_split(int phase_number, int64_t row_block, int64_t col_block);

  // Row outputs after the last phase of a split run.
  void write_rows(int64_t row);

 private:
  static int64_t weight_of(const std::vector<Step>& steps) {
    int64_t sum = 0;
    for (const Step& s : steps) sum += s.weight;
    return sum;
  }
  // Elements of the space that will be read next.
  void look_ahead(int64_t from, int64_t n);

  struct Block {
    int64_t row0, row1, col0, col1;
  };
  Block block(int64_t r, int64_t c) const;
  char* workspace() const { return static_cast<char*>(call_.task.workspace); }
  char* cell(int reg) const {
    return cells_ + reg * static_cast<int64_t>(kSplatBytes);
  }
  char* acc(int reduction) const { return accs_ + reduction * 16; }
  // The accumulators of a column for a block of rows, in the workspace.
  char* shared_column(int index, int64_t row_block) const;
  // From now on columns [col, col + n) are added up: in this worker's own
  // memory if `local`, else in the workspace.
  void start_columns(
      int64_t row_block, int64_t col, int64_t n, bool local, bool clear = true);
  // Hands on what start_columns(local) began: to the outputs if no other block
  // of rows has a share, else to the workspace.
  void finish_columns(int64_t row_block, int64_t col, int64_t n);

  void start_accumulators();
  void finish_accumulators(const Schedule::Phase& phase);
  // All row steps up to a phase, with the results of the phases before.
  void run_row_steps(int phase_number, int64_t row);

  void set_splat(int reg, int size, const void* value) {
    fill_splat(cell(reg), size, value);
    regs_[reg] = {cell(reg), true};
  }

  // Steps that depend on nothing but constants are done once, as splats.
  void find_constants();
  bool is_constant(const Step& step) const;

  unsigned splats(const Step& step) const;

  // Computes one value and repeats it.
  void run_splat(const Step& step, const TapeTile& t);

  void run(const std::vector<Step>& steps, const TapeTile& t);

  void run(const Step& step, const TapeTile& t);

  // A step in parts of lanes, body(first, count), with the memory kept busy in
  // between.
  template <class F>
  void in_parts(const Step& step, int64_t n, F&& body) {
    constexpr int64_t kLeast = kChainBytes / 4;
    const int64_t lines = ahead_.share(step.weight);
    const int64_t bursts = (lines + Ahead::kBurst - 1) / Ahead::kBurst;
    const int64_t parts =
        std::clamp<int64_t>(n / kLeast, 1, std::max<int64_t>(bursts, 1));
    const int64_t part = (n / parts + kLeast - 1) / kLeast * kLeast;
    const int64_t fetched = (lines + parts - 1) / parts;
    for (int64_t i = 0; i < n; i += part) {
      body(i, std::min(part, n - i));
      ahead_.fetch(fetched);
    }
  }

  // Before and after a step that is not done in parts.
  void fetch_half(const Step& step) {
    if (prefetch_) ahead_.fetch((ahead_.share(step.weight) + 1) / 2);
  }

  // The function of a step on operands from byte `at` on, where they are no
  // splats.
  void call(
      const Step& step, int64_t n, char* out, int64_t at, unsigned flags) const;

  void run_chain(const Step& step, const TapeTile& t);
  void sum_chain(const Step& step, const TapeTile& t);
  // body(row of the tile) for all rows, with the links' numbers of that row.
  template <class F>
  void each_row(const Step& step,
                const TapeTile& t,
                std::span<Link> links,
                F&& body) {
    const bool ahead = prefetch_ && step.in_parts;
    const int64_t lines = ahead ? ahead_.share(step.weight) : 0;
    for (int64_t row = 0; row < t.rows; ++row) {
      body(row);
      for (Link& l : links) {
        l.p += l.row_p;
        l.q += l.row_q;
      }
      if (lines > 0) ahead_.fetch((lines + t.rows - 1) / t.rows);
    }
  }
  // The links of a chain that writes to `out`, and how many. What it keeps has
  // a place from then on.
  int link(const Step& step,
           const TapeTile& t,
           char* out,
           LinkStore store,
           Link* links) const;

  char* slot(const Step& step) const {
    return slots_ + step.slot * tile_bytes_;
  }

  // Where a result goes.
  char* place(const Step& step, const TapeTile& t) const;
  // Whether a result is computed right in the memory of its output.
  bool is_direct(const Step& step) const {
    return step.output >= 0 && step.buffer < 0 && call_.direct[step.output];
  }
  // How a chain writes a result that it computes there.
  LinkStore output_store(int index) const {
    if (call_.stream[index]) return LinkStore::past;
    return call_.far ? LinkStore::far : LinkStore::near;
  }
  int64_t position(const TapeTile& t) const {
    return t.row * layout_.row_length + t.col;
  }
  char* output(int index, const TapeTile& t) const;

  // The operand as a run, a splat if it allows.
  const char* whole(const Step& step, const TapeTile& t);
  const char* as_rows(const Step& step, const TapeTile& t);

  void load(const Step& step, const TapeTile& t);

  // A run of an operand that is read by blocks of rows.
  const char* turned_run(int operand, const TapeTile& t);

  // Rows between which the last outer axis alone passes form a group. The
  // tile's, if an operand is the same in all rows of it (0 where it is the same
  // in all groups), else -1.
  int64_t still_group(int operand, const TapeTile& t) const;
  // Such an operand as a tile, made once for each group.
  const char* pinned(const Step& step, const TapeTile& t, int64_t group);

  // The elements of a tile one after another.
  void gather(int operand, const TapeTile& t, char* to) const;

  // One element for each row of a tile.
  void load_splats(const Step& step, const TapeTile& t);
  void gather_rows(const Step& step, const TapeTile& t, char* to) const;
  void load_rows(const Step& step, const TapeTile& t);

  void reduce(const Step& step, const TapeTile& t);

  void store(const Step& step, const TapeTile& t);

  void add_column(const Step& step, const TapeTile& t);

  const TapeCall& call_;
  const Program& program_;
  const TapeLayout& layout_;
  const bool multi_;
  const bool whole_rows_;  // tiles of several rows, each of whole blocks
  const bool prefetch_;
  Ahead ahead_;
  TapeRegister* regs_;
  char *cells_, *accs_, *rows_, *slots_, *blocks_, *raw_, *temp_, *pinned_,
      *numbers_, *buffers_, *columns_;
  int64_t tile_bytes_, row_bytes_, buffer_bytes_;
  SmallVector<char*, 4> column_base_;      // accumulators, as if of all columns
  SmallVector<bool, 64> constant_;         // by register; empty: none
  SmallVector<int64_t, 16> pinned_group_;  // -1: none yet
  // Which part of an operand its block of rows holds now.
  struct TurnedBlock {
    int64_t row = 0, rows = 0, col = 0, cols = 0;
  };
  SmallVector<TurnedBlock, 4> turned_;
  SmallVector<char*, 4> turned_memory_;
  int64_t last_row_ = 0;  // of the task
};

}  // namespace treadle::backend::cpu
