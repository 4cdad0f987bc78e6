#include "treadle/backend/cpu/rope.h"

#include <algorithm>
#include <cmath>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/simd_targets.h"
#include "treadle/ops/rope.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/rope.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "treadle/backend/cpu/float_rows-inl.h"
#include "treadle/backend/cpu/vm-inl.h"
// clang-format on

#ifndef TREADLE_BACKEND_CPU_ROPE_PROBLEM_
#define TREADLE_BACKEND_CPU_ROPE_PROBLEM_
namespace treadle::backend::cpu {
namespace {

// A task rotates some positions of some matrices (T, D) that share an offset.
struct RopeTask {
  Dtype dtype;
  const char* const* from;  // by matrix, to the first of the positions
  char* const* to;
  int64_t matrices;
  int64_t from_row, from_step, to_row;  // in elements
  int64_t positions, size;              // size: D
  int64_t pairs;
  bool traditional, inverse;
  float first, scale;        // of the first position: number and factor
  const float* frequencies;  // (pairs)
  float *cosines, *sines;    // (positions, pairs), for the task's use
  float* row;                // (size)
};

}  // namespace
}  // namespace treadle::backend::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

void fill_angles(const RopeTask& t) {
  const F d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  for (int64_t i = 0; i < t.positions; ++i) {
    const Vf at = hn::Set(d, (t.first + float(i)) * t.scale);
    float *c = t.cosines + i * t.pairs, *s = t.sines + i * t.pairs;
    for (int64_t j = 0; j < t.pairs; j += lanes) {
      const size_t n = size_t(std::min(lanes, t.pairs - j));
      const Vec<float> angle{hn::Mul(at, load_first(d, t.frequencies + j, n))};
      store_first(d, vm::cos(angle).v, c + j, n);
      const Vf sine = vm::sin(angle).v;
      store_first(d, t.inverse ? hn::Neg(sine) : sine, s + j, n);
    }
  }
}

void rotate_halves(const RopeTask& t, const float* c, const float* s) {
  const F d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  float *x = t.row, *y = t.row + t.pairs;
  int64_t j = 0;
  for (; j + lanes <= t.pairs; j += lanes) {
    const Vf a = hn::LoadU(d, x + j), b = hn::LoadU(d, y + j);
    const Vf u = hn::LoadU(d, c + j), v = hn::LoadU(d, s + j);
    hn::StoreU(hn::Sub(hn::Mul(a, u), hn::Mul(b, v)), d, x + j);
    hn::StoreU(hn::Add(hn::Mul(a, v), hn::Mul(b, u)), d, y + j);
  }
  for (; j < t.pairs; ++j) {
    const float a = x[j], b = y[j];
    x[j] = a * c[j] - b * s[j];
    y[j] = a * s[j] + b * c[j];
  }
}

void rotate_neighbours(const RopeTask& t, const float* c, const float* s) {
  const F d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  float* x = t.row;
  int64_t j = 0;
  for (; j + lanes <= t.pairs; j += lanes) {
    Vf a, b;
    hn::LoadInterleaved2(d, x + 2 * j, a, b);
    const Vf u = hn::LoadU(d, c + j), v = hn::LoadU(d, s + j);
    hn::StoreInterleaved2(hn::Sub(hn::Mul(a, u), hn::Mul(b, v)),
                          hn::Add(hn::Mul(a, v), hn::Mul(b, u)),
                          d,
                          x + 2 * j);
  }
  for (; j < t.pairs; ++j) {
    const float a = x[2 * j], b = x[2 * j + 1];
    x[2 * j] = a * c[j] - b * s[j];
    x[2 * j + 1] = a * s[j] + b * c[j];
  }
}

void rotate(const RopeTask& t) {
  fill_angles(t);
  const int64_t width = int64_t(size_of(t.dtype));
  for (int64_t m = 0; m < t.matrices; ++m) {
    const char* from = t.from[m];
    char* to = t.to[m];
    for (int64_t i = 0; i < t.positions; ++i) {
      load_row(from, t.dtype, t.from_step, t.size, 1, t.row);
      const float *c = t.cosines + i * t.pairs, *s = t.sines + i * t.pairs;
      t.traditional ? rotate_neighbours(t, c, s) : rotate_halves(t, c, s);
      store_row(t.row, t.size, 1, t.dtype, to);
      from += t.from_row * width;
      to += t.to_row * width;
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace treadle::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(rotate);

namespace {

using runtime::Kernel;
using runtime::Operand;
using runtime::Task;

// A task's share: angles are used by several matrices, and few enough to stay
// in the first-level cache.
constexpr int64_t kPositions = 16, kMatrices = 32;

int64_t scratch_floats(const Task& task, const Rope& op) {
  const int64_t floats =
      2 * kPositions * (op.dims / 2) + task.in[0].shape.back();
  return (floats + 15) / 16 * 16;
}

size_t workspace(const Task& task) {
  const auto& op = static_cast<const Rope&>(task.op);
  const int64_t shared = (op.dims / 2 + 15) / 16 * 16;
  return size_t(shared + std::max(1, task.threads) * scratch_floats(task, op)) *
         sizeof(float);
}

void fill_frequencies(const Task& task, const Rope& op, float* to) {
  const int64_t pairs = op.dims / 2;
  if (op.has_freqs) {
    const Operand& f = task.in[2];
    const auto* periods = static_cast<const float*>(f.data);
    for (int64_t i = 0; i < pairs; ++i)
      to[i] = 1.0f / periods[i * f.strides[0]];
    return;
  }
  const float step = float(-std::log(op.base) / double(pairs));
  for (int64_t i = 0; i < pairs; ++i) to[i] = std::exp(float(i) * step);
}

void run(const Task& task) {
  const auto& op = static_cast<const Rope&>(task.op);
  const Operand &x = task.in[0], &offset = task.in[1], &y = task.out[0];
  const int64_t width = int64_t(size_of(x.dtype)),
                rank = int64_t(x.shape.size());
  const int64_t length = x.shape[size_t(rank - 2)];
  const bool each = !offset.shape.empty();  // one offset for each example
  int64_t matrices = 1;
  for (int64_t a = each ? 1 : 0; a < rank - 2; ++a)
    matrices *= x.shape[size_t(a)];
  const int64_t examples = each ? x.shape[0] : 1;

  float* const frequencies = static_cast<float*>(task.workspace);
  fill_frequencies(task, op, frequencies);
  float* const scratch = frequencies + (op.dims / 2 + 15) / 16 * 16;
  const int64_t blocks = (length + kPositions - 1) / kPositions;
  const int64_t shares = (matrices + kMatrices - 1) / kMatrices;

  auto work = [&](int64_t number, float* memory) {
    const int64_t share = number % shares, rest = number / shares;
    const int64_t first = rest % blocks * kPositions, example = rest / blocks;
    const int64_t begin = share * kMatrices,
                  end = std::min(begin + kMatrices, matrices);
    const char* from[kMatrices];
    char* to[kMatrices];
    for (int64_t m = begin; m < end; ++m) {
      int64_t at = first * x.strides[size_t(rank - 2)], left = m;
      if (each) at += example * x.strides[0];
      for (int64_t a = rank - 3; a >= (each ? 1 : 0); --a) {
        at += left % x.shape[size_t(a)] * x.strides[size_t(a)];
        left /= x.shape[size_t(a)];
      }
      from[m - begin] = static_cast<const char*>(x.data) + at * width;
      to[m - begin] =
          static_cast<char*>(y.data) +
          ((example * matrices + m) * length + first) * x.shape.back() * width;
    }
    RopeTask t;
    t.dtype = x.dtype;
    t.from = from;
    t.to = to;
    t.matrices = end - begin;
    t.from_row = x.strides[size_t(rank - 2)];
    t.from_step = x.strides.back();
    t.to_row = x.shape.back();
    t.positions = std::min(kPositions, length - first);
    t.size = x.shape.back();
    t.pairs = op.dims / 2;
    t.traditional = op.traditional;
    t.inverse = op.inverse;
    const auto* offsets = static_cast<const int32_t*>(offset.data);
    t.first = float(first) +
              float(each ? offsets[example * offset.strides[0]] : offsets[0]);
    t.scale = float(op.scale);
    t.frequencies = frequencies;
    t.cosines = memory;
    t.sines = memory + kPositions * t.pairs;
    t.row = t.sines + kPositions * t.pairs;
    HWY_DYNAMIC_DISPATCH(rotate)(t);
  };

  const int64_t count = examples * blocks * shares;
  const int64_t bytes = size_of(x.shape) * width;
  const int threads =
      int(std::min<int64_t>(threads_for(task.threads, 2 * bytes), count));
  Tasks tasks(count, threads);
  parallel_workers(threads, [&](int worker) {
    float* memory = scratch + worker * scratch_floats(task, op);
    for (int64_t i = 0; tasks.take(worker, &i);) work(i, memory);
  });
}

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  return in[0].dtype == float64 ? "float64 is computed by its expansion" : "";
}

}  // namespace

Kernel rope() {
  Kernel k;
  k.name = "cpu::rope";
  k.why_not = &why_not;
  k.run = &run;
  k.workspace = &workspace;
  k.strided = true;
  k.in_place = true;
  return k;
}

}  // namespace treadle::backend::cpu
#endif
