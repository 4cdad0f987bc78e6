#include "treadle/backend/cpu/pool.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/pool_problem.h"
#include "treadle/backend/cpu/pool_rows.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;
using Lengths = PoolProblem::Lengths;

const char* at(const Operand& x, int64_t element) {
  return static_cast<const char*>(x.data) + element * int64_t(size_of(x.dtype));
}
char* at(void* data, Dtype dtype, int64_t element) {
  return static_cast<char*>(data) + element * int64_t(size_of(dtype));
}

int64_t bytes_of(const Operand& x) {
  return treadle::size_of(x.shape) * int64_t(size_of(x.dtype));
}

// Calls f(o, count) for the windows o, o + 1, ... of a row: one by one where
// padding cuts them or their sizes differ, all others together.
template <class F>
void for_runs(const PoolProblem& p, Lengths o, F&& f) {
  const auto [from, to] = p.like_windows();
  for (o[2] = 0; o[2] < p.out[2];) {
    const int64_t count = o[2] == from && to > from ? to - from : 1;
    f(o, count);
    o[2] += count;
  }
}

// One result for each window. Threads take rows of windows.
void reduce_windows(const PoolProblem& p,
                    const Task& task,
                    PoolRow common,
                    const Operand& x,
                    const Operand* y,
                    const Operand* v,
                    void (*reduce)(const PoolRow&)) {
  const Operand& out = task.out[0];
  auto run = [&](int64_t begin, int64_t end) {
    std::vector<int64_t> taps;
    PoolRow r = common;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / p.out[0];
      const int64_t matrix = n * p.in[0] * p.in_row();
      r.x = at(x, matrix);
      if (v) r.v = at(*v, matrix);
      int64_t result = row * p.out_row();
      Lengths o{row % p.out[0], 0, 0};
      for (; o[1] < p.out[1]; ++o[1]) {
        for_runs(p, o, [&](const Lengths& window, int64_t count) {
          p.elements_of(window, 0, p.in[0], &taps);
          r.taps = taps;
          r.elements = p.elements(window);
          r.count = count;
          if (y) r.y = at(*y, result);
          r.out = at(out.data, out.dtype, result);
          reduce(r);
          result += count * p.channels;
        });
      }
    }
  };
  parallel_for(threads_for(task.threads, bytes_of(x)), p.n * p.out[0], run);
}

// Rows of the input that are finished together: few enough to stay in the
// second cache, and a multiple of the stride, so that windows that do not
// overlap are not cut.
int64_t rows_at_once(const PoolProblem& p) {
  const int64_t stride = p.row_stride();
  const int64_t rows = (int64_t{1} << 15) / std::max<int64_t>(p.in_row(), 1);
  return std::max<int64_t>(1, rows / stride) * stride;
}

// Spreads what arrives for each window over its elements. Threads own rows of
// the result and look at all windows that reach them.
void spread_windows(const PoolProblem& p,
                    const Task& task,
                    PoolRow common,
                    const Operand* x,
                    const Operand* y,
                    const Operand& ct,
                    void (*spread)(const PoolRow&, const PoolTarget&)) {
  const Operand& out = task.out[0];
  const bool half = is_half(out.dtype);
  const bool apart = p.apart(), clear = !apart || !p.covers();
  const int64_t step = rows_at_once(p);
  const int64_t blocks = (p.in[0] + step - 1) / step;
  auto run = [&](int64_t begin, int64_t end) {
    std::vector<int64_t> taps, where;
    std::vector<float> sums(half ? size_t(step * p.in_row()) : 0);
    PoolRow r = common;
    PoolTarget target;
    target.apart = apart;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / blocks, first = i % blocks * step;
      const int64_t last = std::min(p.in[0], first + step);
      const int64_t matrix = n * p.in[0] * p.in_row();
      const int64_t count = (last - first) * p.in_row();
      char* const rows = at(out.data, out.dtype, matrix + first * p.in_row());
      r.out = half ? static_cast<void*>(sums.data()) : rows;
      target.origin = first * p.in_row();
      if (clear) {
        std::memset(r.out, 0, size_t(count) * (half ? 4 : size_of(out.dtype)));
      }
      if (x) r.x = at(*x, matrix);
      const auto [from, to] = p.windows_over(first, last);
      Lengths o{from, 0, 0};
      for (; o[0] < to; ++o[0]) {
        int64_t result = (n * p.out[0] + o[0]) * p.out_row();
        for (o[1] = 0; o[1] < p.out[1]; ++o[1]) {
          for_runs(p, o, [&](const Lengths& window, int64_t run_count) {
            p.elements_of(window, 0, p.in[0], &taps);
            p.elements_of(window, first, last, &where);
            r.taps = taps;
            r.elements = p.elements(window);
            r.count = run_count;
            target.where = where;
            if (y) r.y = at(*y, result);
            r.v = at(ct, result);
            spread(r, target);
            result += run_count * p.channels;
          });
        }
      }
      if (half) round_to_half(out.dtype, sums.data(), rows, count);
    }
  };
  parallel_for(threads_for(task.threads, bytes_of(out)), p.n * blocks, run);
}

PoolRow common_of(const PoolProblem& p, Dtype dtype) {
  PoolRow r;
  r.dtype = dtype;
  r.channels = p.channels;
  r.step = p.step();
  return r;
}

void run_pool(const Task& task) {
  const auto& op = static_cast<const Pool&>(task.op);
  const Operand& x = task.in[0];
  const PoolProblem p(op.windows, x.shape, task.out[0].shape);
  reduce_windows(p,
                 task,
                 common_of(p, x.dtype),
                 x,
                 nullptr,
                 nullptr,
                 op.pool == PoolKind::max ? pool_max : pool_mean);
}

void run_pick(const Task& task) {
  const auto& op = static_cast<const MaxPoolPick&>(task.op);
  const Operand &x = task.in[0], &y = task.in[1], &v = task.in[2];
  const PoolProblem p(op.windows, x.shape, y.shape);
  reduce_windows(p, task, common_of(p, x.dtype), x, &y, &v, pool_pick);
}

void run_max_grad(const Task& task) {
  const auto& op = static_cast<const MaxPoolGrad&>(task.op);
  const Operand &x = task.in[0], &y = task.in[1], &ct = task.in[2];
  const PoolProblem p(op.windows, x.shape, y.shape);
  spread_windows(p, task, common_of(p, x.dtype), &x, &y, ct, pool_max_grad);
}

void run_mean_grad(const Task& task) {
  const auto& op = static_cast<const MeanPoolGrad&>(task.op);
  const Operand& ct = task.in[0];
  const PoolProblem p(op.windows, task.out[0].shape, ct.shape);
  spread_windows(
      p, task, common_of(p, ct.dtype), nullptr, nullptr, ct, pool_mean_grad);
}

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  for (const Spec& s : in) {
    if (!is_floating(s.dtype) || s.dtype != in[0].dtype) {
      return "takes one floating dtype";
    }
  }
  return "";
}

}  // namespace

runtime::Kernel pool() {
  return {.name = "cpu::pool", .why_not = why_not, .run = run_pool};
}
runtime::Kernel mean_pool_grad() {
  return {
      .name = "cpu::mean_pool_grad", .why_not = why_not, .run = run_mean_grad};
}
runtime::Kernel max_pool_grad() {
  return {
      .name = "cpu::max_pool_grad", .why_not = why_not, .run = run_max_grad};
}
runtime::Kernel max_pool_pick() {
  return {.name = "cpu::max_pool_pick", .why_not = why_not, .run = run_pick};
}

}  // namespace treadle::backend::cpu
