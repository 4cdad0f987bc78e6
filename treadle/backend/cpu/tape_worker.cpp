#include "treadle/backend/cpu/tape_worker.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace treadle::backend::cpu {
namespace {

using runtime::Operand;
using runtime::Task;
using Kind = Step::Kind;

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

}  // namespace

void fill_splat(void* cell, int size, const void* value) {
  char* out = static_cast<char*>(cell);
  std::memcpy(out, value, static_cast<size_t>(size));
  for (size_t have = static_cast<size_t>(size); have < kSplatBytes; have *= 2) {
    std::memcpy(out + have, out, have);
  }
}

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

TapeWorker::TapeWorker(const TapeCall& call)
    : call_(call),
      program_(call.program),
      layout_(call.layout),
      multi_(layout_.tile_rows > 1),
      whole_rows_(multi_ && layout_.row_length * 4 %
                                    static_cast<int64_t>(
                                        8 * program_.table.vector_bytes) ==
                                0),
      prefetch_(call.prefetch) {
  const auto aligned = [](int64_t n) { return (n + 63) / 64 * 64; };
  const int64_t tile_bytes =
      aligned(layout_.tile_rows * layout_.tile_cols * program_.max_size) +
      static_cast<int64_t>(kChainBytes);
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
  const int64_t at_regs =
      take(regs * static_cast<int64_t>(sizeof(TapeRegister)));
  const int64_t at_cells = take(regs * static_cast<int64_t>(kSplatBytes));
  const int64_t at_acc = take(acc * 16);
  const int64_t at_rows = take(multi_ ? program_.num_uniform * row_bytes : 0);
  const int64_t at_slots = take(s.num_slots * tile_bytes);
  const int64_t at_blocks =
      take(s.num_blocks * static_cast<int64_t>(kChainBytes));
  const int64_t at_raw = take(tile_bytes);
  const int64_t at_temp = take(tile_bytes);
  const int64_t at_pinned = take(multi_ ? n_in * tile_bytes : 0);
  const int64_t at_numbers = take(multi_ ? n_in * row_bytes : 0);
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
  regs_ = reinterpret_cast<TapeRegister*>(base + at_regs);
  cells_ = base + at_cells;
  accs_ = base + at_acc;
  rows_ = base + at_rows;
  slots_ = base + at_slots;
  blocks_ = base + at_blocks;
  raw_ = base + at_raw;
  temp_ = base + at_temp;
  pinned_ = base + at_pinned;
  numbers_ = base + at_numbers;
  buffers_ = base + at_buffers;
  columns_ = base + at_columns;
  for (int64_t at : at_turned) turned_memory_.push_back(base + at);
  turned_.resize(at_turned.size());
  column_base_.assign(program_.columns.size(), nullptr);
  tile_bytes_ = tile_bytes;
  row_bytes_ = row_bytes;
  buffer_bytes_ = buffer_bytes;
  pinned_group_.assign(layout_.operands.size(), -1);
  find_constants();
}

void TapeWorker::run_single(int64_t row_block, int64_t col_block) {
  const auto& steps = call_.schedule.phases[0].tile_steps;
  const auto [row0, row1, col0, col1] = block(row_block, col_block);
  last_row_ = row1;
  const int64_t length = layout_.row_length;
  const auto tile = [&, end_row = row1, end_col = col1](
                        int64_t row, int64_t col, int64_t next) {
    const int64_t n = std::min(layout_.tile_rows, end_row - row);
    const int64_t size = n * std::min(layout_.tile_cols, end_col - col);
    if (prefetch_) {
      ahead_.start(weight_of(steps));
      look_ahead(next, std::min(size, end_row * length - next));
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

void TapeWorker::run_phased(int64_t row_block) {
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

void TapeWorker::run_split(int phase_number,
                           int64_t row_block,
                           int64_t col_block) {
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
      if (!step.reduces()) continue;
      const size_t size = program_.reductions[step.index].fns->acc_size;
      char* to = workspace() + layout_.partial_at[step.index];
      std::memcpy(to + (row * layout_.col_blocks + col_block) * size,
                  acc(step.index),
                  size);
    }
  }
}

void TapeWorker::write_rows(int64_t row) {
  run_row_steps(static_cast<int>(call_.schedule.phases.size()) - 1, row);
  run(call_.schedule.row_outputs, {row, 1, 0, 1});
}

void TapeWorker::look_ahead(int64_t from, int64_t n) {
  for (const TapeOperand& o : layout_.operands) {
    if (o.access == Access::linear)
      ahead_.add(o.data + from * o.size, n * o.size);
  }
}

TapeWorker::Block TapeWorker::block(int64_t r, int64_t c) const {
  return {r * layout_.task_rows,
          std::min(layout_.rows, (r + 1) * layout_.task_rows),
          c * layout_.task_cols,
          std::min(layout_.row_length, (c + 1) * layout_.task_cols)};
}

char* TapeWorker::shared_column(int index, int64_t row_block) const {
  return workspace() + layout_.column_at[index] +
         row_block * layout_.row_length *
             static_cast<int64_t>(program_.columns[index].fns->acc_size);
}

void TapeWorker::start_columns(
    int64_t row_block, int64_t col, int64_t n, bool local, bool clear) {
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

void TapeWorker::finish_columns(int64_t row_block, int64_t col, int64_t n) {
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

void TapeWorker::start_accumulators() {
  for (size_t i = 0; i < program_.reductions.size(); ++i) {
    program_.reductions[i].fns->init(1, acc(static_cast<int>(i)));
  }
}

void TapeWorker::finish_accumulators(const Schedule::Phase& phase) {
  for (const Step& step : phase.tile_steps) {
    if (!step.reduces()) continue;
    alignas(16) char lane[8];
    program_.reductions[step.index].fns->finish(1, lane, acc(step.index));
    set_splat(step.reg, step.size, lane);
  }
}

void TapeWorker::run_row_steps(int phase_number, int64_t row) {
  for (int p = 0; p <= phase_number; ++p) {
    if (p > 0) {
      for (const Step& step : call_.schedule.phases[p - 1].tile_steps) {
        if (!step.reduces()) continue;
        const char* from = workspace() + layout_.result_at[step.index];
        set_splat(step.reg, step.size, from + row * step.size);
      }
    }
    run(call_.schedule.phases[p].row_steps, {row, 1, 0, 1});
  }
}

void TapeWorker::find_constants() {
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

bool TapeWorker::is_constant(const Step& step) const {
  switch (step.kind) {
    case Kind::load:
      return layout_.operands[step.index].access == Access::constant;
    case Kind::expand:
    case Kind::compute:
    case Kind::chain:
    case Kind::convert: {
      bool all = std::none_of(
          step.chain.begin(), step.chain.end(), [](const ChainRow& r) {
            return r.kind == ChainRow::Kind::keep ||
                   r.kind == ChainRow::Kind::store ||
                   r.kind == ChainRow::Kind::sum;
          });
      step.for_inputs([&](uint16_t r) { all = all && constant_[r]; });
      return all;
    }
    default:
      return false;
  }
}

unsigned TapeWorker::splats(const Step& step) const {
  unsigned bits = 0;
  for (int k = 0; k < step.arity; ++k)
    bits |= unsigned{regs_[step.in[k]].splat} << k;
  return bits;
}

void TapeWorker::run_splat(const Step& step, const TapeTile& t) {
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
      if (step.kind == Kind::chain) {
        Link links[kMostLinks];
        const int count =
            link(step, {0, 1, 0, 1}, cell(step.reg), LinkStore::near, links);
        step.chain_fns->run(links, count, 0, static_cast<size_t>(n));
      } else {
        call(step, n, cell(step.reg), 0, 7);
      }
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

void TapeWorker::run(const std::vector<Step>& steps, const TapeTile& t) {
  for (const Step& step : steps) {
    if (!constant_.empty() && constant_[step.reg]) continue;
    run(step, t);
    if (prefetch_ && !step.in_parts) ahead_.fetch(ahead_.share(step.weight));
  }
}

void TapeWorker::run(const Step& step, const TapeTile& t) {
  switch (step.kind) {
    case Kind::load:
      if (step.uniform) {
        multi_ ? load_rows(step, t) : run_splat(step, {t.row, 1, 0, 1});
      } else {
        load(step, t);
      }
      return;
    case Kind::chain:
      return run_chain(step, t);
    case Kind::compute: {
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
      if (step.chained && whole_rows_) {
        regs_[step.reg] = {
            regs_[step.in[0]].p, false, LinkForm::memory, step.size};
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

void TapeWorker::call(
    const Step& step, int64_t n, char* out, int64_t at, unsigned flags) const {
  const void* in[3] = {};
  for (int k = 0; k < step.arity; ++k) {
    in[k] = regs_[step.in[k]].p + (flags >> k & 1 ? 0 : at);
  }
  step.row_fn(static_cast<size_t>(n), out, in[0], in[1], in[2], flags);
}

void TapeWorker::run_chain(const Step& step, const TapeTile& t) {
  if (step.sums()) return sum_chain(step, t);
  char* out;
  LinkStore store = LinkStore::near;
  if (step.stores()) {
    if (!call_.task.out[step.index].data) return;
    out = output(step.index, t);
    store = output_store(step.index);
    if (store == LinkStore::past &&
        reinterpret_cast<uintptr_t>(out) % kSplatBytes != 0) {
      store = call_.far ? LinkStore::far : LinkStore::near;
    }
  } else {
    out = place(step, t);
    if (is_direct(step)) store = output_store(step.output);
  }
  Link links[kMostLinks];
  const int count = link(step, t, out, store, links);
  if (!step.stores()) regs_[step.reg] = {out, false};
  const auto run = [&](int64_t i, int64_t m) {
    step.chain_fns->run(
        links, count, static_cast<size_t>(i), static_cast<size_t>(m));
  };
  const bool rows = std::any_of(links, links + count, [](const Link& l) {
    return (l.row_p | l.row_q) != 0;
  });
  if (rows) {
    each_row(step, t, {links, links + count}, [&](int64_t row) {
      run(row * layout_.row_length, layout_.row_length);
    });
  } else if (prefetch_ && step.in_parts) {
    in_parts(step, t.n, run);
  } else {
    run(0, t.n);
  }
}

void TapeWorker::sum_chain(const Step& step, const TapeTile& t) {
  const ChainTable& fns = *step.chain_fns;
  Link links[kMostLinks];
  const int count = link(step, t, temp_, LinkStore::near, links);
  const auto sum = [&](int64_t i, int64_t m, double* to) {
    fns.sum(links, count, static_cast<size_t>(i), static_cast<size_t>(m), to);
  };
  if (layout_.pass != Pass::single) {
    auto* to = reinterpret_cast<double*>(acc(step.index));
    // Not in parts: each would end in a sum over the lanes of vectors.
    sum(0, t.n, to);
    if (prefetch_) ahead_.fetch(ahead_.share(step.weight));
    return;
  }
  if (!multi_) {
    fetch_half(step);
    double total = 0;
    sum(0, t.n, &total);
    const auto value = static_cast<float>(total);
    set_splat(step.reg, step.size, &value);
    fetch_half(step);
    return;
  }
  char* out = rows_ + step.slot * row_bytes_;
  if (whole_rows_) {
    each_row(step, t, {links, links + count}, [&](int64_t row) {
      double total = 0;
      sum(row * layout_.row_length, layout_.row_length, &total);
      reinterpret_cast<float*>(out)[row] = static_cast<float>(total);
    });
  } else {
    fetch_half(step);
    fns.run(links, count, 0, static_cast<size_t>(t.n));
    program_.reductions[step.index].fns->rows(
        static_cast<size_t>(t.rows),
        static_cast<size_t>(layout_.row_length),
        out,
        temp_);
    fetch_half(step);
  }
  regs_[step.reg] = {out, false};
}

int TapeWorker::link(const Step& step,
                     const TapeTile& t,
                     char* out,
                     LinkStore store,
                     Link* links) const {
  const ChainTable& fns = *step.chain_fns;
  Link* l = links;
  // A tile of this worker may be read beyond its lanes; and the copy of one
  // that the chain itself keeps would be made too early.
  const char* tiles_end = slots_ + call_.schedule.num_slots * tile_bytes_;
  const auto copied = [&](const TapeRegister& r) -> uint8_t {
    if (r.splat || r.row > 0 || r.form == LinkForm::block ||
        (r.p >= slots_ && r.p < tiles_end)) {
      return 0;
    }
    return r.form == LinkForm::memory ? step.size : 2;
  };
  const auto half = [](Dtype t) { return t == float16 ? 1 : 0; };
  const int end = static_cast<int>(store);
  for (const ChainRow& r : step.chain) {
    const int row = static_cast<int>(r.row);
    int form[2] = {};
    *l = {};
    for (int k = 0; k < r.reads; ++k) {
      const TapeRegister& from = regs_[r.in[k]];
      const bool one = from.splat || from.row > 0;
      form[k] = static_cast<int>(one ? LinkForm::splat : from.form);
      (k == 0 ? l->p : l->q) = from.p;
      (k == 0 ? l->row_p : l->row_q) =
          from.repeats ? -static_cast<int32_t>(layout_.row_length * step.size)
                       : from.row;
      (k == 0 ? l->copy_p : l->copy_q) = copied(from);
    }
    switch (r.kind) {
      case ChainRow::Kind::load:
        l->fn = fns.load[form[0]];
        break;
      case ChainRow::Kind::unary:
        l->fn = fns.unary[row];
        break;
      case ChainRow::Kind::binary:
        l->fn = fns.binary[row][r.side][form[0]];
        break;
      case ChainRow::Kind::product:
        l->fn = fns.product[row][r.side][form[0]][form[1]];
        break;
      case ChainRow::Kind::twice:
        l->fn = fns.twice[row];
        break;
      case ChainRow::Kind::select:
        l->fn = fns.select[r.side][form[0]][form[1]];
        break;
      case ChainRow::Kind::round:
        l->fn = fns.round[half(r.dtype)];
        break;
      case ChainRow::Kind::keep: {
        char* to = r.block
                       ? blocks_ + r.slot * static_cast<int64_t>(kChainBytes)
                       : slots_ + r.slot * tile_bytes_;
        LinkStore kept = LinkStore::near;
        if (r.output >= 0 && call_.direct[r.output]) {
          to = output(r.output, t);
          kept = output_store(r.output);
          l->write_p = step.size;
        }
        l->fn = fns.keep[r.block][static_cast<int>(kept)];
        l->p = to;
        regs_[r.in[0]] = {
            to, false, r.block ? LinkForm::block : LinkForm::memory};
        break;
      }
      case ChainRow::Kind::store:
        *l = {fns.last_half[half(r.dtype)][end], out, nullptr, 0, 0, 2, 0, 0};
        return static_cast<int>(l - links) + 1;
      case ChainRow::Kind::sum:
        continue;
    }
    ++l;
  }
  *l = {fns.last[end], out, nullptr, 0, 0, step.size, 0, 0};
  return static_cast<int>(l - links) + 1;
}

char* TapeWorker::place(const Step& step, const TapeTile& t) const {
  if (step.uniform) return rows_ + step.slot * row_bytes_;
  if (step.buffer >= 0) {
    return buffers_ + step.buffer * buffer_bytes_ + t.col * step.size;
  }
  if (is_direct(step)) return output(step.output, t);
  return slot(step);
}

char* TapeWorker::output(int index, const TapeTile& t) const {
  const Operand& o = call_.task.out[index];
  return static_cast<char*>(o.data) +
         position(t) * static_cast<int64_t>(size_of(o.dtype));
}

const char* TapeWorker::whole(const Step& step, const TapeTile& t) {
  const TapeRegister& r = regs_[step.in[0]];
  if (!r.splat) return r.p;
  copy_elements(step.size, temp_, r.p, 0, t.n);
  return temp_;
}

const char* TapeWorker::as_rows(const Step& step, const TapeTile& t) {
  const TapeRegister& r = regs_[step.in[0]];
  if (!r.splat || t.rows == 1) return r.p;
  copy_elements(step.size, temp_, r.p, 0, t.rows);
  return temp_;
}

void TapeWorker::reduce(const Step& step, const TapeTile& t) {
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

void TapeWorker::store(const Step& step, const TapeTile& t) {
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

void TapeWorker::add_column(const Step& step, const TapeTile& t) {
  const Column& c = program_.columns[step.index];
  if (!call_.task.out[c.output].data) return;
  const char* in = whole(step, t);
  char* acc =
      column_base_[step.index] + t.col * static_cast<int64_t>(c.fns->acc_size);
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

}  // namespace treadle::backend::cpu
