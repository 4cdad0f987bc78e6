#include "treadle/backend/cpu/pool.h"

#include <algorithm>
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

// One result for each window: `rows` of them along (n, first axis) a thread.
void reduce_windows(const PoolProblem& p,
                    const Task& task,
                    PoolWindow common,
                    const Operand& x,
                    const Operand* y,
                    const Operand* v,
                    void (*reduce)(const PoolWindow&)) {
  const Operand& out = task.out[0];
  auto run = [&](int64_t begin, int64_t end) {
    std::vector<int64_t> taps;
    PoolWindow w = common;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t n = row / p.out[0];
      const int64_t matrix = n * p.in[0] * p.in_row();
      w.x = at(x, matrix);
      if (v) w.v = at(*v, matrix);
      int64_t result = row * p.out_row();
      Lengths o{row % p.out[0], 0, 0};
      for (o[1] = 0; o[1] < p.out[1]; ++o[1]) {
        for (o[2] = 0; o[2] < p.out[2]; ++o[2], result += p.channels) {
          p.elements_of(o, 0, p.in[0], &taps);
          w.taps = taps;
          if (y) w.y = at(*y, result);
          w.out = at(out.data, out.dtype, result);
          reduce(w);
        }
      }
    }
  };
  parallel_for(threads_for(task.threads, bytes_of(x)), p.n * p.out[0], run);
}

// Rows of the input that are finished together: few enough to stay in the
// second cache, and a multiple of the stride, so that windows that do not
// overlap are not cut.
int64_t rows_at_once(const PoolProblem& p, int64_t stride) {
  const int64_t rows = (int64_t{1} << 15) / std::max<int64_t>(p.in_row(), 1);
  return std::max<int64_t>(1, rows / stride) * stride;
}

template <class T>
void convert(const std::vector<float>& from, char* to, int64_t count) {
  T* out = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < count; ++i) out[i] = T(from[size_t(i)]);
}

// Spreads what arrives for each window over its elements. Threads own rows of
// the result and look at all windows that reach them.
void spread_windows(const PoolProblem& p,
                    const Task& task,
                    PoolWindow common,
                    int64_t stride,
                    const Operand* x,
                    const Operand* y,
                    const Operand& ct,
                    void (*spread)(const PoolWindow&,
                                   std::span<const int64_t>)) {
  const Operand& out = task.out[0];
  const bool half = is_half(out.dtype);
  const int64_t step = rows_at_once(p, stride);
  const int64_t blocks = (p.in[0] + step - 1) / step;
  auto run = [&](int64_t begin, int64_t end) {
    std::vector<int64_t> taps, where;
    std::vector<float> sums(half ? size_t(step * p.in_row()) : 0);
    PoolWindow w = common;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / blocks, first = i % blocks * step;
      const int64_t last = std::min(p.in[0], first + step);
      const int64_t matrix = n * p.in[0] * p.in_row();
      const int64_t count = (last - first) * p.in_row();
      char* const rows = at(out.data, out.dtype, matrix + first * p.in_row());
      w.origin = first * p.in_row();
      if (half) {
        std::fill_n(sums.data(), count, 0.0f);
        w.out = sums.data();
      } else {
        std::fill_n(rows, count * int64_t(size_of(out.dtype)), char(0));
        w.out = rows;
      }
      if (x) w.x = at(*x, matrix);
      const auto [from, to] = p.windows_over(first, last);
      Lengths o;
      for (o[0] = from; o[0] < to; ++o[0]) {
        int64_t window = (n * p.out[0] + o[0]) * p.out_row();
        for (o[1] = 0; o[1] < p.out[1]; ++o[1]) {
          for (o[2] = 0; o[2] < p.out[2]; ++o[2], window += p.channels) {
            p.elements_of(o, 0, p.in[0], &taps);
            p.elements_of(o, first, last, &where);
            w.taps = taps;
            if (y) w.y = at(*y, window);
            w.v = at(ct, window);
            spread(w, where);
          }
        }
      }
      if (out.dtype == float16) convert<float16_t>(sums, rows, count);
      if (out.dtype == bfloat16) convert<bfloat16_t>(sums, rows, count);
    }
  };
  parallel_for(threads_for(task.threads, bytes_of(out)), p.n * blocks, run);
}

PoolWindow common_of(const PoolProblem& p, Dtype dtype) {
  PoolWindow w;
  w.dtype = dtype;
  w.channels = p.channels;
  w.elements = p.elements;
  return w;
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
  spread_windows(p,
                 task,
                 common_of(p, x.dtype),
                 op.windows.stride[0],
                 &x,
                 &y,
                 ct,
                 pool_max_grad);
}

void run_mean_grad(const Task& task) {
  const auto& op = static_cast<const MeanPoolGrad&>(task.op);
  const Operand& ct = task.in[0];
  const PoolProblem p(op.windows, task.out[0].shape, ct.shape);
  spread_windows(p,
                 task,
                 common_of(p, ct.dtype),
                 op.windows.stride[0],
                 nullptr,
                 nullptr,
                 ct,
                 pool_mean_grad);
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
