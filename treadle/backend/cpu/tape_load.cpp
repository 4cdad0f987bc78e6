// How a worker gets at its operands: a pointer where memory is a run of the
// lane already, else a copy that gathers or converts.
#include <algorithm>
#include <cstring>

#include "treadle/backend/cpu/tape_worker.h"
#include "treadle/backend/cpu/transpose.h"

namespace treadle::backend::cpu {

void copy_elements(
    int size, char* to, const char* from, int64_t stride, int64_t n) {
  const auto loop = [&]<class T>(T*) {
    T* out = reinterpret_cast<T*>(to);
    for (int64_t i = 0; i < n; ++i, from += stride) {
      std::memcpy(out + i, from, sizeof(T));
    }
  };
  const int64_t bytes = n * size;
  if (stride == size) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
    return;
  }
  if (stride == 0 && bytes > 64) {
    int64_t have = size;
    std::memcpy(to, from, static_cast<size_t>(size));
    for (; 2 * have <= bytes; have *= 2) {
      std::memcpy(to + have, to, static_cast<size_t>(have));
    }
    std::memcpy(to + have, to, static_cast<size_t>(bytes - have));
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

void TapeWorker::load(const Step& step, const TapeTile& t) {
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
      return load_splats(step, t);
    case Access::turned:
      from = turned_run(step.index, t);
      break;
    case Access::general:
      break;
  }
  if (!from && multi_) {
    const int64_t group = still_group(step.index, t);
    if (group >= 0) {
      TapeRegister& r = regs_[step.reg] = {pinned(step, t, group), false};
      r.repeats = step.chained && whole_rows_;
      return;
    }
  }
  if (from && step.halves) {
    const Dtype dtype = call_.task.in[step.index].dtype;
    regs_[step.reg] = {
        from, false, dtype == float16 ? LinkForm::float16 : LinkForm::bfloat16};
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

const char* TapeWorker::turned_run(int operand, const TapeTile& t) {
  const TapeOperand& o = layout_.operands[operand];
  TurnedBlock& b = turned_[operand];
  const bool inside = t.row >= b.row && t.row < b.row + b.rows &&
                      t.col >= b.col && t.col + t.n <= b.col + b.cols;
  char* memory = turned_memory_[operand];
  if (!inside) {
    const int64_t axis = layout_.outer[layout_.outer.size() - 1];
    b.row = t.row;
    b.rows =
        std::min({layout_.turned_rows, axis - t.row % axis, last_row_ - t.row});
    b.cols = std::min(layout_.turned_cols, layout_.row_length);
    b.col = t.col / b.cols * b.cols;
    b.cols = std::min(b.cols, layout_.row_length - b.col);
    const Transposition turn = {o.data + layout_.outer_offset(operand, b.row) +
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

int64_t TapeWorker::still_group(int operand, const TapeTile& t) const {
  const size_t axes = layout_.outer.size();
  const int64_t* s = layout_.outer_strides.data() + operand * axes;
  if (s[axes - 1] != 0) return -1;
  if (std::all_of(s, s + axes, [](int64_t v) { return v == 0; })) return 0;
  const int64_t length = layout_.outer[axes - 1];
  const int64_t first = t.row / length;
  return (t.row + t.rows - 1) / length == first ? first : -1;
}

const char* TapeWorker::pinned(const Step& step,
                               const TapeTile& t,
                               int64_t group) {
  char* pinned = pinned_ + step.index * tile_bytes_;
  if (pinned_group_[step.index] == group) return pinned;
  pinned_group_[step.index] = group;
  // One row, and then as many copies of it as a tile has rows.
  const int64_t n = layout_.row_length * layout_.tile_rows;
  char* to = step.copies ? pinned : raw_;
  gather(step.index, {t.row, 1, 0, layout_.row_length}, to);
  const int64_t size = layout_.operands[step.index].size, all = n * size;
  for (int64_t have = layout_.row_length * size; have < all;) {
    const int64_t more = std::min(have, all - have);
    std::memcpy(to + have, to, static_cast<size_t>(more));
    have += more;
  }
  if (!step.copies) step.move_fn(static_cast<size_t>(n), pinned, raw_);
  return pinned;
}

void TapeWorker::gather(int operand, const TapeTile& t, char* to) const {
  const TapeOperand& o = layout_.operands[operand];
  const int64_t* s = layout_.inner_of(operand);
  const size_t axes = layout_.inner.size();
  const int64_t last = layout_.inner[axes - 1];
  const int64_t width = t.rows > 1 || multi_ ? layout_.row_length : t.n;
  layout_.for_rows(operand, t.row, t.rows, [&](int64_t, int64_t offset) {
    const char* row = o.data + offset;
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
  });
}

// One element a row, repeated along it.
void TapeWorker::load_splats(const Step& step, const TapeTile& t) {
  char* numbers = numbers_ + step.index * row_bytes_;
  gather_rows(step, t, step.copies ? numbers : raw_);
  if (!step.copies) step.move_fn(static_cast<size_t>(t.rows), numbers, raw_);
  if (step.chained && whole_rows_) {
    regs_[step.reg] = {numbers, false, LinkForm::memory, step.size};
    return;
  }
  char* out = slot(step);
  program_.table.expand(static_cast<size_t>(t.rows),
                        static_cast<size_t>(layout_.row_length),
                        step.size,
                        out,
                        numbers);
  regs_[step.reg] = {out, false};
}

// The first element of each row.
void TapeWorker::gather_rows(const Step& step,
                             const TapeTile& t,
                             char* to) const {
  const TapeOperand& o = layout_.operands[step.index];
  if (layout_.outer.size() == 1) {
    return copy_elements(o.size,
                         to,
                         o.data + layout_.outer_offset(step.index, t.row),
                         layout_.outer_strides[step.index],
                         t.rows);
  }
  const auto copy = [&]<class T>(T*) {
    layout_.for_rows(step.index, t.row, t.rows, [&](int64_t r, int64_t at) {
      std::memcpy(to + r * int64_t(sizeof(T)), o.data + at, sizeof(T));
    });
  };
  switch (o.size) {
    case 1:
      return copy(static_cast<uint8_t*>(nullptr));
    case 2:
      return copy(static_cast<uint16_t*>(nullptr));
    case 4:
      return copy(static_cast<uint32_t*>(nullptr));
    default:
      return copy(static_cast<uint64_t*>(nullptr));
  }
}

void TapeWorker::load_rows(const Step& step, const TapeTile& t) {
  char* out = rows_ + step.slot * row_bytes_;
  gather_rows(step, t, step.copies ? out : raw_);
  if (!step.copies) step.move_fn(static_cast<size_t>(t.rows), out, raw_);
  regs_[step.reg] = {out, false};
}

}  // namespace treadle::backend::cpu
