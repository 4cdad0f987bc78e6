// Runs tapes: each worker takes tasks (blocks of the space) and interprets the
// steps of the program tile by tile, every step one call of a vectorised loop.
#include "treadle/backend/cpu/tape.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/tape_layout.h"
#include "treadle/backend/cpu/tape_program.h"
#include "treadle/backend/cpu/transpose.h"

namespace treadle::backend::cpu {
namespace {

using runtime::Operand;
using runtime::Task;
using Kind = Step::Kind;

// Work for less time than this is not worth waking another thread.
constexpr double kThreadNanoseconds = 10000;
// Of an addition in a tile, and of a byte from memory, per element.
constexpr double kStepNanoseconds = 0.04, kByteNanoseconds = 0.03;
// Outputs larger than this would push everything else out of the caches, so
// they are written past them.
constexpr int64_t kStreamBytes = 16 << 20;

// Spaces of fewer elements are probably in a cache.
constexpr int64_t kPrefetchElements = 1 << 18;

// Memory of a thread for tiles; grows and is kept.
class Scratch {
 public:
  ~Scratch() { std::free(data_); }
  char* get(size_t bytes) {
    if (bytes > size_) {
      std::free(data_);
      size_ = (bytes + 4095) / 4096 * 4096;
      data_ = static_cast<char*>(std::aligned_alloc(64, size_));
      if (!data_) throw std::bad_alloc();
    }
    return data_;
  }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

void copy_elements(
    int size, char* to, const char* from, int64_t stride, int64_t n) {
  const auto loop = [&]<class T>(T*) {
    T* out = reinterpret_cast<T*>(to);
    for (int64_t i = 0; i < n; ++i, from += stride) {
      std::memcpy(out + i, from, sizeof(T));
    }
  };
  if (stride == size) {
    std::memcpy(to, from, static_cast<size_t>(n * size));
    return;
  }
  switch (size) {
    case 1:
      return loop(static_cast<uint8_t*>(nullptr));
    case 2:
      return loop(static_cast<uint16_t*>(nullptr));
    case 4:
      return loop(static_cast<uint32_t*>(nullptr));
    default:
      return loop(static_cast<uint64_t*>(nullptr));
  }
}

void fill_splat(void* cell, int size, const void* value) {
  char* out = static_cast<char*>(cell);
  std::memcpy(out, value, static_cast<size_t>(size));
  for (size_t have = static_cast<size_t>(size); have < kSplatBytes; have *= 2) {
    std::memcpy(out + have, out, have);
  }
}

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
  void fetch(int64_t lines) {
    if (at_ == runs_.size()) return;
    for (; lines > 0; --lines) {
      Run& run = runs_[at_];
      __builtin_prefetch(run.p, 0, 3);
      run.p += kLine;
      if (run.p >= run.end && ++at_ == runs_.size()) return;
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
struct Call {
  const Task& task;
  const Program& program;
  const TapeLayout& layout;
  const Schedule& schedule;
  SmallVector<bool, 8> direct;  // output: may be computed in place
  SmallVector<bool, 8> stream;  // output: written past the caches
};

struct Register {
  const char* p;
  bool splat;
};

// Accumulators [col, col + n) of a column as its output.
void write_column(const Task& task,
                  const Column& c,
                  int64_t col,
                  int64_t n,
                  const char* acc) {
  const Operand& out = task.out[c.output];
  if (!out.data) return;
  constexpr int64_t kChunk = 512;
  alignas(64) char lanes[kChunk * 8];
  const auto size = static_cast<int64_t>(size_of(out.dtype));
  for (int64_t i = 0; i < n; i += kChunk) {
    const auto m = static_cast<size_t>(std::min(kChunk, n - i));
    c.fns->finish(m, lanes, acc + i * static_cast<int64_t>(c.fns->acc_size));
    c.store(m, static_cast<char*>(out.data) + (col + i) * size, lanes);
  }
}

// A piece of the space: rows from `row` on, columns from `col` on.
struct Tile {
  int64_t row, rows, col, n;
};

class Worker {
 public:
  explicit Worker(const Call& call)
      : call_(call),
        program_(call.program),
        layout_(call.layout),
        multi_(layout_.tile_rows > 1),
        prefetch_(layout_.rows * layout_.row_length >= kPrefetchElements) {
    const auto aligned = [](int64_t n) { return (n + 63) / 64 * 64; };
    const int64_t tile_bytes =
        aligned(layout_.tile_rows * layout_.tile_cols * program_.max_size) + 64;
    const int64_t row_bytes = aligned(layout_.tile_rows * 8);
    const int64_t buffer_bytes = aligned(layout_.row_length * 8);
    const int64_t regs = program_.num_registers;
    const int64_t n_in = static_cast<int64_t>(layout_.operands.size());
    const int64_t acc = static_cast<int64_t>(program_.reductions.size());
    const Schedule& s = call.schedule;

    int64_t bytes = 0;
    const auto take = [&](int64_t size) {
      return std::exchange(bytes, bytes + aligned(size));
    };
    const int64_t at_regs = take(regs * static_cast<int64_t>(sizeof(Register)));
    const int64_t at_cells = take(regs * static_cast<int64_t>(kSplatBytes));
    const int64_t at_acc = take(acc * 16);
    const int64_t at_rows = take(multi_ ? program_.num_uniform * row_bytes : 0);
    const int64_t at_slots = take(s.num_slots * tile_bytes);
    const int64_t at_raw = take(tile_bytes);
    const int64_t at_temp = take(tile_bytes);
    const int64_t at_pinned = take(multi_ ? n_in * tile_bytes : 0);
    const int64_t at_buffers = take(s.num_buffers * buffer_bytes);
    const int64_t columns = static_cast<int64_t>(program_.columns.size());
    const bool local = layout_.pass == Pass::single;
    const int64_t at_columns =
        take(local ? columns * layout_.strip_cols * 16 : 0);
    const int64_t block_bytes = layout_.turned_rows * layout_.turned_cols;
    SmallVector<int64_t, 4> at_turned;
    if (block_bytes > 0) {
      for (const TapeOperand& o : layout_.operands) {
        at_turned.push_back(
            o.access == Access::turned ? take(block_bytes * o.size) : 0);
      }
    }
    thread_local Scratch scratch;
    char* base = scratch.get(static_cast<size_t>(bytes));
    regs_ = reinterpret_cast<Register*>(base + at_regs);
    cells_ = base + at_cells;
    accs_ = base + at_acc;
    rows_ = base + at_rows;
    slots_ = base + at_slots;
    raw_ = base + at_raw;
    temp_ = base + at_temp;
    pinned_ = base + at_pinned;
    buffers_ = base + at_buffers;
    columns_ = base + at_columns;
    for (int64_t at : at_turned) turned_memory_.push_back(base + at);
    turned_.resize(at_turned.size());
    column_base_.assign(program_.columns.size(), nullptr);
    tile_bytes_ = tile_bytes;
    row_bytes_ = row_bytes;
    buffer_bytes_ = buffer_bytes;
    pinned_done_.assign(layout_.operands.size(), false);
    find_constants();
  }

  // A block of rows and columns, in one pass.
  void run_single(int64_t row_block, int64_t col_block) {
    const auto& steps = call_.schedule.phases[0].tile_steps;
    const auto [row0, row1, col0, col1] = block(row_block, col_block);
    last_row_ = row1;
    const int64_t length = layout_.row_length;
    const auto tile = [&](int64_t row, int64_t col, int64_t next) {
      const int64_t n = std::min(layout_.tile_rows, row1 - row);
      const int64_t size = n * std::min(layout_.tile_cols, col1 - col);
      if (prefetch_) {
        ahead_.start(weight_of(steps));
        look_ahead(next, std::min(size, row1 * length - next));
      }
      run(steps, {row, n, col, size});
    };
    // Strip by strip, so that the accumulators of columns stay near.
    for (int64_t strip = col0; strip < col1 || strip == 0;
         strip += layout_.strip_cols) {
      const int64_t end = std::min(strip + layout_.strip_cols, col1);
      start_columns(row_block, strip, end - strip, true);
      for (int64_t row = row0; row < row1; row += layout_.tile_rows) {
        for (int64_t col = strip; col < end || col == 0;
             col += layout_.tile_cols) {
          const bool last = col + layout_.tile_cols >= end;
          const int64_t after = row + layout_.tile_rows;
          tile(row,
               col,
               last ? after * length + strip
                    : row * length + col + layout_.tile_cols);
          if (length == 0) break;
        }
      }
      finish_columns(row_block, strip, end - strip);
      if (length == 0) break;
    }
  }

  // A block of rows, phase by phase for each.
  void run_phased(int64_t row_block) {
    const auto [row0, row1, col0, col1] = block(row_block, 0);
    last_row_ = row1;
    start_columns(row_block, col0, col1 - col0, false);
    int64_t steps = 0;
    for (const auto& phase : call_.schedule.phases) {
      steps += weight_of(phase.tile_steps);
    }
    steps *= (col1 + layout_.tile_cols - 1) / layout_.tile_cols;
    for (int64_t row = row0; row < row1; ++row) {
      if (prefetch_) {
        ahead_.start(steps);
        if (row + 1 < row1) look_ahead((row + 1) * col1, col1);
      }
      for (const auto& phase : call_.schedule.phases) {
        run(phase.row_steps, {row, 1, 0, 1});
        start_accumulators();
        for (int64_t col = col0; col < col1; col += layout_.tile_cols) {
          run(phase.tile_steps,
              {row, 1, col, std::min(layout_.tile_cols, col1 - col)});
        }
        finish_accumulators(phase);
      }
      run(call_.schedule.row_outputs, {row, 1, 0, 1});
    }
  }

  // One phase of a block of rows and columns; the accumulators go to the
  // workspace.
  void run_split(int phase_number, int64_t row_block, int64_t col_block) {
    const auto& phase = call_.schedule.phases[phase_number];
    const auto [row0, row1, col0, col1] = block(row_block, col_block);
    start_columns(row_block, col0, col1 - col0, false, phase_number == 0);
    for (int64_t row = row0; row < row1; ++row) {
      run_row_steps(phase_number, row);
      start_accumulators();
      for (int64_t col = col0; col < col1; col += layout_.tile_cols) {
        const int64_t n = std::min(layout_.tile_cols, col1 - col);
        if (prefetch_) {
          ahead_.start(weight_of(phase.tile_steps));
          look_ahead(row * layout_.row_length + col + n,
                     std::min(n, col1 - col - n));
        }
        run(phase.tile_steps, {row, 1, col, n});
      }
      for (const Step& step : phase.tile_steps) {
        if (step.kind != Kind::reduce) continue;
        const size_t size = program_.reductions[step.index].fns->acc_size;
        char* to = workspace() + layout_.partial_at[step.index];
        std::memcpy(to + (row * layout_.col_blocks + col_block) * size,
                    acc(step.index),
                    size);
      }
    }
  }

  // Row outputs after the last phase of a split run.
  void write_rows(int64_t row) {
    run_row_steps(static_cast<int>(call_.schedule.phases.size()) - 1, row);
    run(call_.schedule.row_outputs, {row, 1, 0, 1});
  }

 private:
  static int64_t weight_of(const std::vector<Step>& steps) {
    int64_t sum = 0;
    for (const Step& s : steps) sum += s.weight;
    return sum;
  }
  // Elements of the space that will be read next.
  void look_ahead(int64_t from, int64_t n) {
    for (const TapeOperand& o : layout_.operands) {
      if (o.access == Access::linear)
        ahead_.add(o.data + from * o.size, n * o.size);
    }
  }

  struct Block {
    int64_t row0, row1, col0, col1;
  };
  Block block(int64_t r, int64_t c) const {
    return {r * layout_.task_rows,
            std::min(layout_.rows, (r + 1) * layout_.task_rows),
            c * layout_.task_cols,
            std::min(layout_.row_length, (c + 1) * layout_.task_cols)};
  }
  char* workspace() const { return static_cast<char*>(call_.task.workspace); }
  char* cell(int reg) const {
    return cells_ + reg * static_cast<int64_t>(kSplatBytes);
  }
  char* acc(int reduction) const { return accs_ + reduction * 16; }
  // The accumulators of a column for a block of rows, in the workspace.
  char* shared_column(int index, int64_t row_block) const {
    return workspace() + layout_.column_at[index] +
           row_block * layout_.row_length *
               static_cast<int64_t>(program_.columns[index].fns->acc_size);
  }
  // From now on columns [col, col + n) are added up: in this worker's own
  // memory if `local`, else in the workspace.
  void start_columns(int64_t row_block,
                     int64_t col,
                     int64_t n,
                     bool local,
                     bool clear = true) {
    for (size_t i = 0; i < program_.columns.size(); ++i) {
      const ReduceFns& f = *program_.columns[i].fns;
      const auto size = static_cast<int64_t>(f.acc_size);
      const int index = static_cast<int>(i);
      char* own = columns_ + index * layout_.strip_cols * 16;
      char* acc = local ? own : shared_column(index, row_block) + col * size;
      column_base_[i] = acc - col * size;
      if (clear) f.init(static_cast<size_t>(n), acc);
    }
  }
  // Hands on what start_columns(local) began: to the outputs if no other block
  // of rows has a share, else to the workspace.
  void finish_columns(int64_t row_block, int64_t col, int64_t n) {
    for (size_t i = 0; i < program_.columns.size(); ++i) {
      const Column& c = program_.columns[i];
      const auto size = static_cast<int64_t>(c.fns->acc_size);
      const char* acc = column_base_[i] + col * size;
      if (layout_.row_blocks == 1) {
        write_column(call_.task, c, col, n, acc);
      } else {
        std::memcpy(shared_column(static_cast<int>(i), row_block) + col * size,
                    acc,
                    static_cast<size_t>(n * size));
      }
    }
  }

  void start_accumulators() {
    for (size_t i = 0; i < program_.reductions.size(); ++i) {
      program_.reductions[i].fns->init(1, acc(static_cast<int>(i)));
    }
  }
  void finish_accumulators(const Schedule::Phase& phase) {
    for (const Step& step : phase.tile_steps) {
      if (step.kind != Kind::reduce) continue;
      alignas(16) char lane[8];
      program_.reductions[step.index].fns->finish(1, lane, acc(step.index));
      set_splat(step.reg, step.size, lane);
    }
  }
  // All row steps up to a phase, with the results of the phases before.
  void run_row_steps(int phase_number, int64_t row) {
    for (int p = 0; p <= phase_number; ++p) {
      if (p > 0) {
        for (const Step& step : call_.schedule.phases[p - 1].tile_steps) {
          if (step.kind != Kind::reduce) continue;
          const char* from = workspace() + layout_.result_at[step.index];
          set_splat(step.reg, step.size, from + row * step.size);
        }
      }
      run(call_.schedule.phases[p].row_steps, {row, 1, 0, 1});
    }
  }

  void set_splat(int reg, int size, const void* value) {
    fill_splat(cell(reg), size, value);
    regs_[reg] = {cell(reg), true};
  }

  // Steps that depend on nothing but constants are done once, as splats.
  void find_constants() {
    const bool any = std::any_of(
        layout_.operands.begin(),
        layout_.operands.end(),
        [](const TapeOperand& o) { return o.access == Access::constant; });
    if (!any) return;
    constant_.assign(program_.num_registers, false);
    for (const auto& phase : call_.schedule.phases) {
      for (const auto* list : {&phase.row_steps, &phase.tile_steps}) {
        for (const Step& step : *list) {
          if (is_constant(step)) {
            const bool was = std::exchange(constant_[step.reg], true);
            if (!was) run_splat(step, {0, 1, 0, 1});
          }
        }
      }
    }
  }
  bool is_constant(const Step& step) const {
    switch (step.kind) {
      case Kind::load:
        return layout_.operands[step.index].access == Access::constant;
      case Kind::expand:
      case Kind::compute:
      case Kind::pair:
      case Kind::convert:
        return std::all_of(step.in, step.in + step.arity, [this](uint16_t r) {
          return constant_[r];
        });
      default:
        return false;
    }
  }

  unsigned splats(const Step& step) const {
    unsigned bits = 0;
    for (int k = 0; k < step.arity; ++k)
      bits |= unsigned{regs_[step.in[k]].splat} << k;
    return bits;
  }

  // Computes one value and repeats it.
  void run_splat(const Step& step, const Tile& t) {
    alignas(64) char lane[kSplatBytes];
    switch (step.kind) {
      case Kind::load: {
        const TapeOperand& o = layout_.operands[step.index];
        step.move_fn(1,
                     lane,
                     o.data + layout_.outer_offset(step.index, t.row) +
                         layout_.inner_offset(step.index, t.col));
        break;
      }
      case Kind::convert:
        step.move_fn(1, lane, regs_[step.in[0]].p);
        break;
      case Kind::expand:
        regs_[step.reg] = regs_[step.in[0]];
        return;
      default: {
        const auto n =
            static_cast<int64_t>(program_.table.vector_bytes / step.size);
        call(step, n, cell(step.reg), 0, 15);
        if (program_.table.vector_bytes < kSplatBytes) {
          std::memcpy(lane, cell(step.reg), step.size);
          break;
        }
        regs_[step.reg] = {cell(step.reg), true};
        return;
      }
    }
    set_splat(step.reg, step.size, lane);
  }

  void run(const std::vector<Step>& steps, const Tile& t) {
    for (const Step& step : steps) {
      if (!constant_.empty() && constant_[step.reg]) continue;
      run(step, t);
      if (prefetch_ && !step.in_parts) ahead_.fetch(ahead_.share(step.weight));
    }
  }

  void run(const Step& step, const Tile& t) {
    switch (step.kind) {
      case Kind::load:
        if (step.uniform) {
          multi_ ? load_rows(step, t) : run_splat(step, {t.row, 1, 0, 1});
        } else {
          load(step, t);
        }
        return;
      case Kind::compute:
      case Kind::pair: {
        if (step.uniform && !multi_) return run_splat(step, t);
        char* out = place(step, t);
        const int64_t n = step.uniform ? t.rows : t.n;
        unsigned flags = splats(step);
        if (is_direct(step) && call_.stream[step.output]) flags |= kStreamFlag;
        if (prefetch_ && step.in_parts) {
          in_parts(step, n, [&](int64_t i, int64_t m) {
            call(step, m, out + i * step.size, i * step.size, flags);
          });
        } else {
          call(step, n, out, 0, flags);
        }
        regs_[step.reg] = {out, false};
        return;
      }
      case Kind::convert: {
        if (step.uniform && !multi_) return run_splat(step, t);
        if (regs_[step.in[0]].splat) return run_splat(step, t);
        char* out = place(step, t);
        step.move_fn(static_cast<size_t>(step.uniform ? t.rows : t.n),
                     out,
                     regs_[step.in[0]].p);
        regs_[step.reg] = {out, false};
        return;
      }
      case Kind::expand: {
        if (regs_[step.in[0]].splat) {
          regs_[step.reg] = regs_[step.in[0]];
          return;
        }
        char* out = slot(step);
        program_.table.expand(static_cast<size_t>(t.rows),
                              static_cast<size_t>(layout_.row_length),
                              step.size,
                              out,
                              regs_[step.in[0]].p);
        regs_[step.reg] = {out, false};
        return;
      }
      case Kind::saved:
        regs_[step.reg] = {
            buffers_ + step.index * buffer_bytes_ + t.col * step.size, false};
        return;
      case Kind::reduce:
        return reduce(step, t);
      case Kind::store:
        return store(step, t);
      case Kind::store_row: {
        const Operand& o = call_.task.out[step.index];
        if (!o.data) return;
        char* out = static_cast<char*>(o.data) +
                    t.row * static_cast<int64_t>(size_of(o.dtype));
        step.move_fn(static_cast<size_t>(t.rows), out, as_rows(step, t));
        return;
      }
      case Kind::column:
        return add_column(step, t);
    }
  }

  // A step in parts of lanes, body(first, count), with the memory kept busy in
  // between.
  template <class F>
  void in_parts(const Step& step, int64_t n, F&& body) {
    constexpr int64_t kLeast = 64;
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
  void call(const Step& step,
            int64_t n,
            char* out,
            int64_t at,
            unsigned flags) const {
    const void* in[4];
    for (int k = 0; k < 4; ++k) {
      in[k] = regs_[step.in[k]].p + (flags >> k & 1 ? 0 : at);
    }
    if (step.kind == Kind::pair) {
      step.pair_fn(static_cast<size_t>(n), out, in, flags);
    } else {
      step.row_fn(static_cast<size_t>(n), out, in[0], in[1], in[2], flags);
    }
  }

  char* slot(const Step& step) const {
    return slots_ + step.slot * tile_bytes_;
  }

  // Where a result goes.
  char* place(const Step& step, const Tile& t) const {
    if (step.uniform) return rows_ + step.slot * row_bytes_;
    if (step.buffer >= 0) {
      return buffers_ + step.buffer * buffer_bytes_ + t.col * step.size;
    }
    if (is_direct(step)) return output(step.output, t);
    return slot(step);
  }
  // Whether a result is computed right in the memory of its output.
  bool is_direct(const Step& step) const {
    return step.output >= 0 && step.buffer < 0 && call_.direct[step.output];
  }
  int64_t position(const Tile& t) const {
    return t.row * layout_.row_length + t.col;
  }
  char* output(int index, const Tile& t) const {
    const Operand& o = call_.task.out[index];
    return static_cast<char*>(o.data) +
           position(t) * static_cast<int64_t>(size_of(o.dtype));
  }

  // The operand as a run, a splat if it allows.
  const char* whole(const Step& step, const Tile& t) {
    const Register& r = regs_[step.in[0]];
    if (!r.splat) return r.p;
    copy_elements(step.size, temp_, r.p, 0, t.n);
    return temp_;
  }
  const char* as_rows(const Step& step, const Tile& t) {
    const Register& r = regs_[step.in[0]];
    if (!r.splat || t.rows == 1) return r.p;
    copy_elements(step.size, temp_, r.p, 0, t.rows);
    return temp_;
  }

  void load(const Step& step, const Tile& t) {
    const TapeOperand& o = layout_.operands[step.index];
    const char* from = nullptr;
    switch (o.access) {
      case Access::constant:
        return run_splat(step, t);
      case Access::linear:
        from = o.data + position(t) * o.size;
        break;
      case Access::row_run:
        if (t.rows == 1) {
          from =
              o.data + layout_.outer_offset(step.index, t.row) + t.col * o.size;
        }
        break;
      case Access::row_splat:
        if (!multi_) return run_splat(step, {t.row, 1, 0, 1});
        break;
      case Access::turned:
        from = turned_run(step.index, t);
        break;
      case Access::general:
        break;
    }
    if (!from && multi_ && outer_still(step.index)) {
      char* pinned = pinned_ + step.index * tile_bytes_;
      if (!pinned_done_[step.index]) {
        pinned_done_[step.index] = true;
        char* to = step.copies ? pinned : raw_;
        const int64_t n = layout_.tile_rows * layout_.row_length;
        gather(step.index, {0, layout_.tile_rows, 0, n}, to);
        if (!step.copies) step.move_fn(static_cast<size_t>(n), pinned, raw_);
      }
      regs_[step.reg] = {pinned, false};
      return;
    }
    if (!from) {
      char* to = step.copies ? slot(step) : raw_;
      gather(step.index, t, to);
      from = to;
    }
    if (!step.copies) {
      step.move_fn(static_cast<size_t>(t.n), slot(step), from);
      from = slot(step);
    }
    regs_[step.reg] = {from, false};
  }

  // A run of an operand that is read by blocks of rows.
  const char* turned_run(int operand, const Tile& t) {
    const TapeOperand& o = layout_.operands[operand];
    TurnedBlock& b = turned_[operand];
    const bool inside = t.row >= b.row && t.row < b.row + b.rows &&
                        t.col >= b.col && t.col + t.n <= b.col + b.cols;
    char* memory = turned_memory_[operand];
    if (!inside) {
      const int64_t axis = layout_.outer[layout_.outer.size() - 1];
      b.row = t.row;
      b.rows = std::min(
          {layout_.turned_rows, axis - t.row % axis, last_row_ - t.row});
      b.cols = std::min(layout_.turned_cols, layout_.row_length);
      b.col = t.col / b.cols * b.cols;
      b.cols = std::min(b.cols, layout_.row_length - b.col);
      const Transposition turn = {o.data +
                                      layout_.outer_offset(operand, b.row) +
                                      layout_.inner_offset(operand, b.col),
                                  memory,
                                  layout_.inner_of(operand)[0] / o.size,
                                  b.cols,
                                  b.rows,
                                  b.cols,
                                  static_cast<size_t>(o.size)};
      transpose(turn, 0, transpose_tiles(turn), false);
    }
    return memory + ((t.row - b.row) * b.cols + t.col - b.col) * o.size;
  }

  bool outer_still(int operand) const {
    const int64_t* s =
        layout_.outer_strides.data() + operand * layout_.outer.size();
    return std::all_of(
        s, s + layout_.outer.size(), [](int64_t v) { return v == 0; });
  }

  // The elements of a tile one after another.
  void gather(int operand, const Tile& t, char* to) const {
    const TapeOperand& o = layout_.operands[operand];
    const int64_t* s = layout_.inner_of(operand);
    const size_t axes = layout_.inner.size();
    const int64_t last = layout_.inner[axes - 1];
    const int64_t width = t.rows > 1 || multi_ ? layout_.row_length : t.n;
    for (int64_t r = 0; r < t.rows; ++r) {
      const char* row = o.data + layout_.outer_offset(operand, t.row + r);
      for (int64_t i = 0; i < width;) {
        const int64_t col = t.col + i;
        const int64_t run =
            axes == 1 ? width : std::min(width - i, last - col % last);
        copy_elements(o.size,
                      to,
                      row + layout_.inner_offset(operand, col),
                      s[axes - 1],
                      run);
        to += run * o.size;
        i += run;
      }
    }
  }

  // One element for each row of a tile.
  void load_rows(const Step& step, const Tile& t) {
    const TapeOperand& o = layout_.operands[step.index];
    char* out = rows_ + step.slot * row_bytes_;
    char* to = step.copies ? out : raw_;
    if (layout_.outer.size() == 1) {
      copy_elements(o.size,
                    to,
                    o.data + layout_.outer_offset(step.index, t.row),
                    layout_.outer_strides[step.index],
                    t.rows);
    } else {
      for (int64_t r = 0; r < t.rows; ++r) {
        std::memcpy(to + r * o.size,
                    o.data + layout_.outer_offset(step.index, t.row + r),
                    static_cast<size_t>(o.size));
      }
    }
    if (!step.copies) step.move_fn(static_cast<size_t>(t.rows), out, raw_);
    regs_[step.reg] = {out, false};
  }

  void reduce(const Step& step, const Tile& t) {
    const ReduceFns& f = *program_.reductions[step.index].fns;
    const char* in = whole(step, t);
    if (layout_.pass != Pass::single) {
      if (!prefetch_)
        return f.fold(static_cast<size_t>(t.n), acc(step.index), in);
      in_parts(step, t.n, [&](int64_t i, int64_t m) {
        f.fold(static_cast<size_t>(m), acc(step.index), in + i * step.size);
      });
      return;
    }
    fetch_half(step);
    if (multi_) {
      char* out = rows_ + step.slot * row_bytes_;
      f.rows(static_cast<size_t>(t.rows),
             static_cast<size_t>(layout_.row_length),
             out,
             in);
      regs_[step.reg] = {out, false};
    } else {
      alignas(16) char lane[8];
      f.rows(1, static_cast<size_t>(t.n), lane, in);
      set_splat(step.reg, step.size, lane);
    }
    fetch_half(step);
  }

  void store(const Step& step, const Tile& t) {
    const Operand& o = call_.task.out[step.index];
    if (!o.data) return;
    char* out = output(step.index, t);
    const char* in = regs_[step.in[0]].p;
    if (in == out) return;
    in = whole(step, t);
    const auto n = static_cast<size_t>(t.n);
    if (!call_.stream[step.index]) {
      step.move_fn(n, out, in);
    } else if (step.copies) {
      program_.table.stream(n * step.size, out, in);
    } else {
      step.move_fn(n, raw_, in);
      program_.table.stream(n * size_of(o.dtype), out, raw_);
    }
  }

  void add_column(const Step& step, const Tile& t) {
    const Column& c = program_.columns[step.index];
    if (!call_.task.out[c.output].data) return;
    const char* in = whole(step, t);
    char* acc = column_base_[step.index] +
                t.col * static_cast<int64_t>(c.fns->acc_size);
    if (prefetch_ && t.rows == 1) {
      in_parts(step, t.n, [&](int64_t i, int64_t m) {
        c.fns->add(1,
                   static_cast<size_t>(m),
                   acc + i * static_cast<int64_t>(c.fns->acc_size),
                   in + i * c.size);
      });
      return;
    }
    const int64_t n = t.n / std::max<int64_t>(t.rows, 1);
    fetch_half(step);
    c.fns->add(static_cast<size_t>(t.rows), static_cast<size_t>(n), acc, in);
    fetch_half(step);
  }

  const Call& call_;
  const Program& program_;
  const TapeLayout& layout_;
  const bool multi_;
  const bool prefetch_;
  Ahead ahead_;
  Register* regs_;
  char *cells_, *accs_, *rows_, *slots_, *raw_, *temp_, *pinned_, *buffers_,
      *columns_;
  int64_t tile_bytes_, row_bytes_, buffer_bytes_;
  SmallVector<char*, 4> column_base_;  // accumulators, as if of all columns
  SmallVector<bool, 64> constant_;     // by register; empty: none
  SmallVector<bool, 16> pinned_done_;
  // Which part of an operand its block of rows holds now.
  struct TurnedBlock {
    int64_t row = 0, rows = 0, col = 0, cols = 0;
  };
  SmallVector<TurnedBlock, 4> turned_;
  SmallVector<char*, 4> turned_memory_;
  int64_t last_row_ = 0;  // of the task
};

// Bytes from the first to past the last that an operand touches.
struct Extent {
  const char *begin, *end;
};
Extent extent(const Operand& o) {
  const char* data = static_cast<const char*>(o.data);
  int64_t low = 0, high = 1;
  for (size_t i = 0; i < o.shape.size(); ++i) {
    if (o.shape[i] == 0) return {data, data};
    const int64_t d = (o.shape[i] - 1) * o.strides[i];
    (d < 0 ? low : high) += d;
  }
  const auto size = static_cast<int64_t>(size_of(o.dtype));
  return {data + low * size, data + high * size};
}

// Decides for each full output whether values may be computed right in its
// memory and whether it bypasses the caches. True: some output overwrites an
// operand.
bool choose_outputs(Call* call) {
  const Task& task = call->task;
  const Order& order = call->program.order;
  const bool single = call->layout.pass == Pass::single;
  bool overlaps = false;
  call->direct.assign(task.out.size(), false);
  call->stream.assign(task.out.size(), false);
  for (size_t k = 0; k < task.out.size(); ++k) {
    const Operand& out = task.out[k];
    if (!out.data) continue;
    const Extent e = extent(out);
    bool direct = true, aliased = false;
    for (size_t i = 0; i < task.in.size(); ++i) {
      const Extent x = extent(task.in[i]);
      if (x.end <= e.begin || e.end <= x.begin) continue;
      aliased = true;
      // In place is safe when the last reader comes no later, on the same
      // element.
      const bool same = x.begin == e.begin && x.end == e.end &&
                        call->layout.operands[i].access == Access::linear;
      if (!single || !same || order.last_read[i] > order.written[k])
        direct = false;
    }
    overlaps = overlaps || aliased;
    call->stream[k] = !aliased && e.end - e.begin >= kStreamBytes;
    // Vectors past the caches must be aligned, in every tile.
    const bool aligned =
        reinterpret_cast<uintptr_t>(out.data) % 64 == 0 &&
        (call->layout.row_length * 4 % 64 == 0 || call->layout.rows == 1) &&
        call->layout.tile_cols % 16 == 0;
    call->direct[k] =
        direct && (!call->stream[k] || (aligned && call->program.streams[k]));
  }
  return overlaps;
}

const Program& program_of(const plan::Fused& op) {
  const plan::Prepared::Base* p = op.prepared.get();
  if (!p) p = op.prepared.set(std::make_unique<Program>(op.tape));
  return static_cast<const Program&>(*p);
}

// Combines the partial sums of split rows.
void finish_split(const Call& call, int phase, int threads) {
  const TapeLayout& l = call.layout;
  char* ws = static_cast<char*>(call.task.workspace);
  parallel_tasks(l.rows > 64 ? threads : 1, l.rows, [&](int64_t row) {
    for (size_t i = 0; i < call.program.reductions.size(); ++i) {
      const Reduction& r = call.program.reductions[i];
      if (r.phase != phase) continue;
      const auto size = static_cast<int64_t>(r.fns->acc_size);
      char* parts = ws + l.partial_at[i] + row * l.col_blocks * size;
      for (int64_t b = 1; b < l.col_blocks; ++b)
        r.fns->merge(1, parts, parts + b * size);
      r.fns->finish(1, ws + l.result_at[i] + row * r.size, parts);
    }
  });
}

// Combines the row blocks of column reductions, in order, and writes the
// outputs.
void merge_columns(const Call& call, int threads) {
  const TapeLayout& l = call.layout;
  constexpr int64_t kChunk = 512;
  const int64_t chunks = (l.row_length + kChunk - 1) / kChunk;
  if (l.row_blocks * l.row_length < 1 << 15) threads = 1;
  for (size_t i = 0; i < call.program.columns.size(); ++i) {
    const Column& c = call.program.columns[i];
    const auto size = static_cast<int64_t>(c.fns->acc_size);
    char* acc = static_cast<char*>(call.task.workspace) + l.column_at[i];
    parallel_tasks(threads, chunks, [&](int64_t chunk) {
      const int64_t col = chunk * kChunk;
      const int64_t n = std::min(kChunk, l.row_length - col);
      char* first = acc + col * size;
      for (int64_t b = 1; b < l.row_blocks; ++b) {
        c.fns->merge(
            static_cast<size_t>(n), first, first + b * l.row_length * size);
      }
      write_column(call.task, c, col, n, first);
    });
  }
}

// As many threads as a call is worth.
int useful_threads(const Call& call) {
  const TapeLayout& l = call.layout;
  int64_t bytes = 0;
  for (const TapeOperand& o : l.operands) {
    if (o.access != Access::constant) bytes += o.size;
  }
  for (const Operand& o : call.task.out)
    bytes += static_cast<int64_t>(size_of(o.dtype));
  const double time = static_cast<double>(l.rows * l.row_length) *
                      (call.program.weight * kStepNanoseconds +
                       static_cast<double>(bytes) * kByteNanoseconds);
  const double useful = std::min(time / kThreadNanoseconds, 1024.0);
  return std::clamp(
      static_cast<int>(useful), 1, std::max(call.task.threads, 1));
}

void run(const Task& task) {
  const Program& program = program_of(static_cast<const plan::Fused&>(task.op));
  const TapeLayout layout(program, task);
  Call probe{task, program, layout, program.single, {}, {}};
  const bool overlaps = choose_outputs(&probe);
  const Schedule* schedule = &program.single;
  if (layout.pass != Pass::single) {
    const bool late = overlaps && !program.saving_late.phases.empty();
    schedule = layout.use_buffers
                   ? (late ? &program.saving_late : &program.saving)
                   : (late ? &program.recomputing_late : &program.recomputing);
  }
  const Call call{task, program, layout, *schedule, probe.direct, probe.stream};

  const int threads = task.threads > 1 ? useful_threads(call) : 1;
  const bool streams = std::any_of(
      call.stream.begin(), call.stream.end(), [](bool b) { return b; });
  const int64_t blocks = layout.row_blocks * layout.col_blocks;
  const auto on_blocks = [&](auto&& body) {
    Tasks tasks(blocks);
    parallel_workers(
        static_cast<int>(std::min<int64_t>(threads, blocks)), [&](int) {
          int64_t i;
          if (!tasks.take(&i)) return;
          Worker worker(call);
          do {
            body(worker, i / layout.col_blocks, i % layout.col_blocks);
          } while (tasks.take(&i));
          if (streams) program.table.fence();
        });
  };
  switch (layout.pass) {
    case Pass::single:
      on_blocks([](Worker& w, int64_t r, int64_t c) { w.run_single(r, c); });
      break;
    case Pass::phased:
      on_blocks([](Worker& w, int64_t r, int64_t) { w.run_phased(r); });
      break;
    case Pass::split: {
      const int phases = static_cast<int>(schedule->phases.size());
      for (int p = 0; p < phases; ++p) {
        on_blocks(
            [p](Worker& w, int64_t r, int64_t c) { w.run_split(p, r, c); });
        finish_split(call, p, threads);
      }
      Worker worker(call);
      for (int64_t row = 0; row < layout.rows; ++row) worker.write_rows(row);
      break;
    }
  }
  if (layout.pass != Pass::single || layout.row_blocks > 1)
    merge_columns(call, threads);
}

size_t workspace(const Task& task) {
  const Program& program = program_of(static_cast<const plan::Fused&>(task.op));
  if (program.columns.empty() && program.reductions.empty()) return 0;
  return static_cast<size_t>(TapeLayout(program, task).workspace);
}

std::string why_not(const Op&, std::span<const Spec>, std::span<const Spec>) {
  return "";
}

}  // namespace

runtime::Kernel tape_kernel() {
  runtime::Kernel k;
  k.name = "tape";
  k.why_not = why_not;
  k.run = run;
  k.workspace = workspace;
  k.strided = true;
  k.in_place = true;
  return k;
}

}  // namespace treadle::backend::cpu
