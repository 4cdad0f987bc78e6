// Axes are put in the order of the input's memory and merged. When the last one
// is reduced, one accumulator folds run after run; else a run of accumulators
// takes one run of the input after the other: many at once where they lie one
// behind the other, and a short reduced axis at the end of each is folded when
// all have passed. Each result is made by one thread, always in the same order.
#include "treadle/backend/cpu/reduce.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/backend.h"
#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/ops/reduce.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

// Lanes handled at a time; accumulators of up to 16 bytes.
constexpr int64_t kRun = 512;
constexpr size_t kLaneBytes = 8, kAccumulatorBytes = 16;

// The loops of a reduction, kept and reduced axes apart; strides in elements.
struct Nest {
  Shape kept, reduced;
  Strides kept_in, kept_out, reduced_in;
  // The innermost axis, whose runs are handled whole.
  bool inner_reduced = false;
  int64_t inner = 1, inner_in = 1, inner_out = 1;
  // Accumulators next to one another that make one result.
  int64_t fold = 1;
};

// Folding a run costs more than adding up so many of its elements.
constexpr int64_t kShortRun = 64;

// A short reduced run becomes part of the run of the kept axis around it, if
// that is one run of memory.
void widen(Nest& n) {
  if (!n.inner_reduced || n.inner >= kShortRun || n.inner_in != 1 ||
      n.kept.empty() || n.reduced.empty() || n.kept_in.back() != n.inner ||
      n.kept.back() * n.inner > kRun) {
    return;
  }
  n.inner_reduced = false;
  n.fold = n.inner;
  n.inner *= n.kept.back();
  n.inner_out = n.kept_out.back();
  n.kept.pop_back();
  n.kept_in.pop_back();
  n.kept_out.pop_back();
}

Nest nest_of(const Operand& in, const Operand& out) {
  Axes order;
  for (int i = 0; i < int(in.shape.size()); ++i) {
    if (in.shape[size_t(i)] != 1) order.push_back(i);
  }
  auto reach = [&](int a) { return std::abs(in.strides[size_t(a)]); };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return reach(a) > reach(b);
  });
  // A reduced axis does not move the output, so merging keeps the two kinds
  // apart.
  Shape shape;
  Strides strides[2];
  for (int a : order) {
    size_t i = size_t(a);
    shape.push_back(in.shape[i]);
    strides[0].push_back(in.strides[i]);
    strides[1].push_back(out.shape[i] == 1 ? 0 : out.strides[i]);
  }
  collapse(shape, strides);
  Nest n;
  for (size_t i = 0; i + 1 < shape.size(); ++i) {
    if (strides[1][i] == 0) {
      n.reduced.push_back(shape[i]);
      n.reduced_in.push_back(strides[0][i]);
    } else {
      n.kept.push_back(shape[i]);
      n.kept_in.push_back(strides[0][i]);
      n.kept_out.push_back(strides[1][i]);
    }
  }
  if (!shape.empty()) {
    n.inner = shape.back();
    n.inner_in = strides[0].back();
    n.inner_out = strides[1].back();
    n.inner_reduced = n.inner_out == 0;
  }
  widen(n);
  return n;
}

class Reduction {
 public:
  Reduction(const Task& task)
      : in_(task.in[0]), out_(task.out[0]), nest_(nest_of(in_, out_)) {
    const LaneTable& table = lane_table();
    const auto& op = static_cast<const Reduce&>(task.op);
    plan::Lane lane = plan::lane_of(in_.dtype);
    load_ = table.load[int(in_.dtype)];
    store_ = table.store[int(out_.dtype)];
    fns_ = table.reduce[int(op.reduce)][int(lane)];
    in_width_ = int64_t(size_of(in_.dtype));
    is_lanes_ = !is_half(in_.dtype) && in_.dtype != bool_ && in_width_ >= 4;
    out_width_ = int64_t(size_of(out_.dtype));
  }

  void run(int max_threads) const {
    if (size_of(in_.shape) == 0) return fill_with_nothing();
    const int64_t positions = size_of(nest_.kept);
    const int64_t chunks =
        nest_.inner_reduced ? 1 : (nest_.inner + kRun - 1) / kRun;
    const int threads =
        threads_for(max_threads, size_of(in_.shape) * in_width_);
    parallel_for(threads, positions * chunks, [&](int64_t begin, int64_t end) {
      Shape kept = nest_.kept;
      kept.push_back(1);  // one row of the walk is one position
      Strides strides[] = {nest_.kept_in, nest_.kept_out};
      for (Strides& s : strides) s.push_back(0);
      Rows<2> r(kept, strides);
      r.skip(begin / chunks);
      for (int64_t i = begin; i < end; ++i) {
        if (i > begin && i % chunks == 0) r.next();
        const char* x =
            static_cast<const char*>(in_.data) + r.offset(0) * in_width_;
        char* y = static_cast<char*>(out_.data) + r.offset(1) * out_width_;
        if (nest_.inner_reduced) {
          fold_runs(x, y);
        } else {
          int64_t at = i % chunks * kRun;
          add_runs(x + at * nest_.inner_in * in_width_,
                   y + at * nest_.inner_out * out_width_,
                   std::min(kRun, nest_.inner - at));
        }
      }
    });
  }

 private:
  // The sum or product of no element.
  void fill_with_nothing() const {
    alignas(64) char accumulator[kAccumulatorBytes], value[kLaneBytes];
    fns_.init(1, accumulator);
    write(accumulator, 1, value);
    copy_strided(Operand{value,
                         out_.dtype,
                         out_.shape,
                         Strides(out_.shape.size(), 0),
                         false},
                 out_);
  }

  // n lanes of the input from x on, steps of inner_in.
  void read(const char* x, int64_t n, void* lanes) const {
    if (nest_.inner_in == 1) return load_(size_t(n), lanes, x);
    char packed[kRun * kLaneBytes];
    Operand from{const_cast<char*>(x), in_.dtype, {n}, {nest_.inner_in}, false};
    copy_strided(from, Operand{packed, in_.dtype, {n}, {1}, true});
    load_(size_t(n), lanes, packed);
  }
  void write(const void* accumulators, int64_t n, char* y) const {
    alignas(64) char lanes[kRun * kLaneBytes];
    fns_.finish(size_t(n), lanes, accumulators);
    if (nest_.inner_out == 1 || n == 1) return store_(size_t(n), y, lanes);
    char packed[kRun * kLaneBytes];
    store_(size_t(n), packed, lanes);
    copy_strided(Operand{packed, out_.dtype, {n}, {1}, true},
                 Operand{y, out_.dtype, {n}, {nest_.inner_out}, false});
  }

  // Calls visit(x) at each position of the reduced axes.
  template <class F>
  void for_reduced(const char* x, F visit) const {
    for (Rows<1> r(nest_.reduced, {&nest_.reduced_in, 1}); r.more(); r.next()) {
      for (int64_t i = 0; i < r.length(); ++i) {
        visit(x + (r.offset(0) + i * r.step(0)) * in_width_);
      }
    }
  }

  void fold_runs(const char* x, char* y) const {
    alignas(64) char accumulator[kAccumulatorBytes], lanes[kRun * kLaneBytes];
    fns_.init(1, accumulator);
    for_reduced(x, [&](const char* run) {
      for (int64_t i = 0; i < nest_.inner; i += kRun) {
        int64_t n = std::min(kRun, nest_.inner - i);
        read(run + i * nest_.inner_in * in_width_, n, lanes);
        fns_.fold(size_t(n), accumulator, lanes);
      }
    });
    write(accumulator, 1, y);
  }

  void add_runs(const char* x, char* y, int64_t n) const {
    alignas(64) char accumulators[kRun * kAccumulatorBytes],
        lanes[kRun * kLaneBytes];
    fns_.init(size_t(n), accumulators);
    if (nest_.inner_in == 1 && n == nest_.inner && !nest_.reduced.empty() &&
        nest_.reduced_in.back() == n) {
      Rows<1> r(nest_.reduced, {&nest_.reduced_in, 1});
      for (; r.more(); r.next()) {
        add_rows(x + r.offset(0) * in_width_, r.length(), n, accumulators);
      }
    } else {
      for_reduced(x, [&](const char* run) {
        read(run, n, lanes);
        fns_.add(1, size_t(n), accumulators, lanes);
      });
    }
    if (nest_.fold > 1) join(accumulators, n);
    write(accumulators, n / nest_.fold, y);
  }

  // Rows of n elements, one behind the other.
  void add_rows(const char* x, int64_t rows, int64_t n, char* to) const {
    if (is_lanes_) return fns_.add(size_t(rows), size_t(n), to, x);
    alignas(64) char lanes[kRun * kLaneBytes];
    const int64_t most = kRun / n;
    for (int64_t i = 0; i < rows; i += most) {
      const int64_t m = std::min(most, rows - i);
      load_(size_t(m * n), lanes, x + i * n * in_width_);
      fns_.add(size_t(m), size_t(n), to, lanes);
    }
  }

  // Each `fold` of n accumulators becomes one.
  void join(char* accumulators, int64_t n) const {
    const auto size = int64_t(fns_.acc_size);
    for (int64_t i = 0; i < n / nest_.fold; ++i) {
      char* first = accumulators + i * nest_.fold * size;
      for (int64_t k = 1; k < nest_.fold; ++k)
        fns_.merge(1, first, first + k * size);
      std::memmove(accumulators + i * size, first, size_t(size));
    }
  }

  const Operand &in_, &out_;
  Nest nest_;
  MoveFn load_, store_;
  ReduceFns fns_;
  int64_t in_width_, out_width_;
  bool is_lanes_;  // memory of the input is a run of lanes as it is
};

std::string why_not(const Op& op,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  int kind = int(static_cast<const Reduce&>(op).reduce);
  plan::Lane lane = plan::lane_of(in[0].dtype);
  return lane_table().reduce[kind][int(lane)].fold
             ? ""
             : "no vector code for the dtype";
}

void run(const Task& task) {
  if (size_of(task.out[0].shape) > 0) Reduction(task).run(task.threads);
}

}  // namespace

runtime::Kernel reduce() {
  return {
      .name = "cpu::reduce", .why_not = why_not, .run = run, .strided = true};
}

}  // namespace treadle::backend::cpu
