// Along the last axis a row is cut into blocks, and a block into chains of
// neighbours that are combined side by side, which hides the latency of a sum.
// Blocks are done by whichever thread is free: each is combined by itself, then
// waits for the result of the block before it, which has been taken earlier, so
// that memory is read once. Along other axes columns run side by side.
//
// Where blocks and chains lie follows from the length alone, so results do not
// depend on the number of threads.
#include "treadle/backend/cpu/cumulative.h"

#include <array>
#include <atomic>
#include <new>
#include <thread>

#include "treadle/backend/cpu/cumulative_steps.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/running_sum.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Task;

constexpr int64_t kChains = 8;
// Elements of a block. Chains do not begin a power of two apart, where they
// would share few lines of the cache.
constexpr int64_t kBlock = kChains * 520;
// Columns that are done together, at most.
constexpr int64_t kColumns = 1024;

// x (outer, length, inner), row-contiguous.
struct Sizes {
  int64_t outer = 1, length = 1, inner = 1;
  explicit Sizes(const Task& task) {
    const Shape& shape = task.in[0].shape;
    size_t axis = size_t(static_cast<const Cumulative&>(task.op).axis);
    for (size_t i = 0; i < shape.size(); ++i) {
      (i < axis ? outer : i == axis ? length : inner) *= shape[i];
    }
  }
  int64_t blocks(int64_t size) const { return (length + size - 1) / size; }
};

// What the blocks up to this one come to, once ready.
struct Link {
  static constexpr size_t kBytes = 32;
  alignas(16) unsigned char state[kBytes];
  std::atomic<bool> ready;
};

template <class T, class S>
class Block {
 public:
  using State = typename S::State;

  // `count` elements from x on, `step` apart (1 or -1). The state after each,
  // or before each, within its chain.
  Block(const T* x, int64_t step, int64_t count, bool inclusive)
      : count_(count) {
    // A few elements are one chain.
    length_ = count < 4 * kChains ? count : (count + kChains - 1) / kChains;
    chains_ = length_ == 0 ? 0 : (count + length_ - 1) / length_;
    ends_.fill(S::start());
    if (chains_ == kChains) {
      if (step == 1) {
        inclusive ? side_by_side<1, true>(x) : side_by_side<1, false>(x);
      } else {
        inclusive ? side_by_side<-1, true>(x) : side_by_side<-1, false>(x);
      }
    } else {
      for (int64_t c = 0; c < chains_; ++c) {
        one(x, step, inclusive, c, 0, std::min(length_, count - c * length_));
      }
    }
  }

  State total() const {
    State s = ends_[0];
    for (int64_t c = 1; c < chains_; ++c) s = S::join(s, ends_[size_t(c)]);
    return s;
  }

  // Writes the results, with what the blocks before come to (null: none).
  void finish(const State* before, T* y, int64_t step) const {
    State offset = before ? *before : S::start();
    for (int64_t c = 0; c < chains_; ++c) {
      const int64_t begin = c * length_;
      const int64_t end = std::min(begin + length_, count_);
      if (c == 0 && !before) {
        for (int64_t i = begin; i < end; ++i) y[i * step] = S::value(at_[i]);
      } else if (step == 1) {
        for (int64_t i = begin; i < end; ++i)
          y[i] = S::value(S::join(offset, at_[i]));
      } else {
        for (int64_t i = begin; i < end; ++i)
          y[-i] = S::value(S::join(offset, at_[i]));
      }
      offset = c == 0 && !before ? ends_[0] : S::join(offset, ends_[size_t(c)]);
    }
  }

 private:
  // Elements [from, to) of chain c.
  void one(const T* x,
           int64_t step,
           bool inclusive,
           int64_t c,
           int64_t from,
           int64_t to) {
    State s = ends_[size_t(c)];
    for (int64_t i = c * length_ + from; i < c * length_ + to; ++i) {
      if (!inclusive) at_[i] = s;
      // The first element is taken as it is, a -0 too.
      s = i == c * length_ ? S::lift(x[i * step])
                           : S::join(s, S::lift(x[i * step]));
      if (inclusive) at_[i] = s;
    }
    ends_[size_t(c)] = s;
  }

  template <int kStep, bool kInclusive>
  void side_by_side(const T* x) {
    // The last chain may be shorter; the others go on alone.
    const int64_t length = length_, common = count_ - (kChains - 1) * length;
    for (int64_t c = 0; c < kChains; ++c) one(x, kStep, kInclusive, c, 0, 1);
    State s[kChains];
    std::copy_n(ends_.begin(), kChains, s);
    State* at = at_;
    for (int64_t i = 1; i < common; ++i) {
#pragma GCC unroll 8
      for (int64_t c = 0; c < kChains; ++c) {
        const int64_t k = c * length + i;
        if (!kInclusive) at[k] = s[c];
        s[c] = S::join(s[c], S::lift(x[k * kStep]));
        if (kInclusive) at[k] = s[c];
      }
    }
    std::copy_n(s, kChains, ends_.begin());
    for (int64_t c = 0; c + 1 < kChains; ++c)
      one(x, kStep, kInclusive, c, common, length);
  }

  int64_t count_, length_, chains_;
  std::array<State, kChains> ends_;
  State at_[kBlock];
};

// A block of any kind and element type.
template <class T, class S>
struct ByChains {
  using State = typename S::State;
  static constexpr int64_t kSize = kBlock;
  Block<T, S> block;

  ByChains(const T* x, int64_t count, const Cumulative& op)
      : block(op.reverse ? x + count - 1 : x,
              op.reverse ? -1 : 1,
              count,
              op.inclusive) {}
  State total() const { return block.total(); }
  void finish(const State* before,
              const T*,
              T* y,
              int64_t count,
              const Cumulative& op) const {
    block.finish(before, op.reverse ? y + count - 1 : y, op.reverse ? -1 : 1);
  }
};

// A block of an inclusive sum: read twice, the second time from the cache.
template <class T, class S>
struct ByVectors {
  using State = typename S::State;
  static constexpr int64_t kSize = 1 << 15;
  RunningSum sum = running_sum(dtype_of<T>);
  State all;

  ByVectors(const T* x, int64_t count, const Cumulative&) {
    sum.total(x, count, &all);
  }
  State total() const { return all; }
  void finish(const State* before,
              const T* x,
              T* y,
              int64_t count,
              const Cumulative& op) const {
    const State none = S::start();
    sum.write(x, count, op.reverse, before ? before : &none, y);
  }
};

// One row after another on one thread, or the blocks of all rows on several.
template <class T, class S, class Work>
void along_rows(const Task& task, const Sizes& n, const Cumulative& op) {
  using State = typename S::State;
  constexpr int64_t kSize = Work::kSize;
  static_assert(sizeof(State) <= Link::kBytes);
  const T* x = static_cast<const T*>(task.in[0].data);
  T* y = static_cast<T*>(task.out[0].data);
  const int64_t blocks = n.blocks(kSize);
  const int threads =
      threads_for(task.threads, n.outer * n.length * int64_t(2 * sizeof(T)));
  auto length_of = [&](int64_t block) {
    return std::min(kSize, n.length - block * kSize);
  };
  // Of the block's elements the first in memory.
  auto first_of = [&](int64_t row, int64_t block) {
    int64_t at = block * kSize;
    return row * n.length +
           (op.reverse ? n.length - at - length_of(block) : at);
  };
  if (blocks == 1 || threads == 1 || n.outer >= 8 * threads) {
    parallel_for(threads, n.outer, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        State before = S::start();
        for (int64_t b = 0; b < blocks; ++b) {
          const int64_t first = first_of(row, b), count = length_of(b);
          Work work(x + first, count, op);
          State total = work.total();
          work.finish(
              b == 0 ? nullptr : &before, x + first, y + first, count, op);
          before = b == 0 ? total : S::join(before, total);
        }
      }
    });
    return;
  }
  Link* links = static_cast<Link*>(task.workspace);
  for (int64_t i = 0; i < n.outer * blocks; ++i) {
    new (&links[i]) Link;
    links[i].ready.store(false, std::memory_order_relaxed);
  }
  parallel_tasks(threads, n.outer * blocks, [&](int64_t task_number) {
    const int64_t row = task_number / blocks, b = task_number % blocks;
    const int64_t first = first_of(row, b), count = length_of(b);
    Work work(x + first, count, op);
    Link& mine = links[task_number];
    State total = work.total(), before = S::start();
    if (b > 0) {
      Link& last = links[task_number - 1];
      while (!last.ready.load(std::memory_order_acquire))
        std::this_thread::yield();
      before = *std::launder(reinterpret_cast<const State*>(last.state));
      total = S::join(before, total);
    }
    new (mine.state) State(total);
    mine.ready.store(true, std::memory_order_release);
    work.finish(b == 0 ? nullptr : &before, x + first, y + first, count, op);
  });
}

// One row of `count` columns: states and results. Groups of a known number of
// columns become vectors; they are read before they are written, as y may be x.
template <class T, class S, bool kInclusive>
void next_row(
    const T* x, T* y, typename S::State* states, int64_t count, bool first) {
  using State = typename S::State;
  constexpr int64_t kGroup = 16;
  auto some = [&](int64_t c, auto group) {
    constexpr int64_t n = decltype(group)::value;
    State next[n], old[n];
    for (int64_t k = 0; k < n; ++k) {
      old[k] = states[c + k];
      next[k] = S::join(old[k], S::lift(x[c + k]));
    }
    for (int64_t k = 0; k < n; ++k) states[c + k] = next[k];
    for (int64_t k = 0; k < n; ++k)
      y[c + k] = S::value(kInclusive ? next[k] : old[k]);
  };
  // The first element is taken as it is, a -0 too.
  if (first && kInclusive) {
    for (int64_t c = 0; c < count; ++c) {
      states[c] = S::lift(x[c]);
      y[c] = S::value(states[c]);
    }
    return;
  }
  int64_t c = 0;
  for (; c + kGroup <= count; c += kGroup)
    some(c, std::integral_constant<int64_t, kGroup>());
  for (; c < count; ++c) some(c, std::integral_constant<int64_t, 1>());
}

template <class T, class S>
inline constexpr bool is_running_sum =
    std::is_same_v<S, Steps<CumulativeKind::sum, T, false>> && sizeof(T) >= 4 &&
    !std::is_same_v<T, complex64_t>;

template <class T, class S>
void along_columns(const Task& task, const Sizes& n, const Cumulative& op) {
  const T* x = static_cast<const T*>(task.in[0].data);
  T* y = static_cast<T*>(task.out[0].data);
  const int threads = threads_for(
      task.threads, n.outer * n.length * n.inner * int64_t(2 * sizeof(T)));
  // Wide strips read memory in long runs. Columns do not meet, so that results
  // do not depend on the width.
  const int64_t even = n.outer * n.inner / (2 * threads);
  const int64_t width = std::clamp<int64_t>(even / 64 * 64, 16, kColumns);
  const int64_t strips = (n.inner + width - 1) / width;
  RunningSum sum;
  if (is_running_sum<T, S> && op.inclusive) sum = running_sum(dtype_of<T>);
  const bool by_vectors = sum.row;
  parallel_tasks(threads, n.outer * strips, [&](int64_t task_number) {
    const int64_t outer = task_number / strips;
    const int64_t column = task_number % strips * width;
    const int64_t count = std::min(width, n.inner - column);
    typename S::State states[kColumns];
    std::fill_n(states, count, S::start());
    for (int64_t r = 0; r < n.length; ++r) {
      const int64_t row = op.reverse ? n.length - 1 - r : r;
      const int64_t at = (outer * n.length + row) * n.inner + column;
      if (by_vectors && r > 0) {
        sum.row(x + at, count, states, y + at);
      } else if (op.inclusive) {
        next_row<T, S, true>(x + at, y + at, states, count, r == 0);
      } else {
        next_row<T, S, false>(x + at, y + at, states, count, r == 0);
      }
    }
  });
}

void run(const Task& task) {
  const auto& op = static_cast<const Cumulative&>(task.op);
  const Sizes n(task);
  if (n.outer * n.length * n.inner == 0) return;
  visit_steps<false>(op.kind_of, task.in[0].dtype, [&]<class T, class S>() {
    if (n.inner > 1) return along_columns<T, S>(task, n, op);
    if constexpr (is_running_sum<T, S>) {
      if (op.inclusive) return along_rows<T, S, ByVectors<T, S>>(task, n, op);
    }
    along_rows<T, S, ByChains<T, S>>(task, n, op);
  });
}

size_t workspace(const Task& task) {
  const Sizes n(task);
  return n.inner == 1 && n.length > kBlock
             ? size_t(n.outer * n.blocks(kBlock)) * sizeof(Link)
             : 0;
}

}  // namespace

runtime::Kernel cumulative() {
  return {.name = "cpu::cumulative",
          .run = run,
          .workspace = workspace,
          .in_place = true};
}

}  // namespace treadle::backend::cpu
