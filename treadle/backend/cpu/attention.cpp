#include "treadle/backend/cpu/attention.h"

#include <cmath>

#include "treadle/backend/cpu/attention_problem.h"
#include "treadle/backend/cpu/convert.h"
#include "treadle/backend/cpu/parallel.h"

namespace treadle::backend::cpu {

using runtime::Kernel;
using runtime::Operand;
using runtime::Task;

namespace {

// Steps of axes of length 1 are 0: a mask repeats along them.
AttentionOperand operand(const Operand& x) {
  auto step = [&](int axis) {
    return x.shape[size_t(axis)] == 1 ? 0 : x.strides[size_t(axis)];
  };
  return {static_cast<const char*>(x.data),
          x.dtype,
          step(0),
          step(1),
          step(2),
          step(3)};
}

// A row of one element is as good as contiguous.
AttentionOperand matrix(const Operand& x) {
  AttentionOperand m = operand(x);
  if (x.shape[3] == 1) m.column = 1;
  return m;
}

std::string why_not(const Op& op,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  const Dtype dtype = in[0].dtype;
  if (dtype == float64) return "float64 is computed by its expansion";
  if (const auto* grad = as<AttentionGrad>(op)) {
    for (int i : grad->wrt) {
      if (i == 3 && grad->forward().has_mask())
        return "the gradient of a mask is computed by the expansion";
    }
  }
  for (int64_t n : in[0].shape) {
    if (n > INT32_MAX / 2) return "an axis is too long";
  }
  return in[1].shape[2] > INT32_MAX / 2 ? "an axis is too long" : "";
}

AttentionForward forward_of(const Task& task) {
  return {attention_problem(static_cast<const Attention&>(task.op), task.in),
          static_cast<char*>(task.out[0].data),
          static_cast<float*>(task.out[1].data)};
}

int threads_for_tasks(const Task& task, int64_t tasks) {
  return int(std::max<int64_t>(1, std::min<int64_t>(task.threads, tasks)));
}

// The kernel for many queries: of pairs, or of floats.
struct Tiled {
  int64_t tasks, scratch;
  void (*run)(const AttentionForward& f, int64_t task, char* scratch);
};
Tiled tiled(const AttentionProblem& p) {
  if (attention_takes_pairs(p)) {
    return {attention_pair_tasks(p),
            attention_pair_scratch(p),
            &attention_pair_task};
  }
  return {attention_tasks(p), attention_scratch(p), &attention_task};
}

size_t forward_workspace(const Task& task) {
  const AttentionForward f = forward_of(task);
  if (attention_has_few_rows(f.p)) return size_t(attention_few_bytes(f.p));
  const Tiled t = tiled(f.p);
  return size_t(threads_for_tasks(task, t.tasks)) * size_t(t.scratch);
}

void few(const AttentionForward& f, char* memory, int threads) {
  const AttentionProblem& p = f.p;
  const int64_t pieces = attention_pieces(p), groups = p.batches * p.groups;
  threads = threads_for(
      threads,
      groups * p.keys * (p.depth + p.width) * int64_t(size_of(p.dtype)));
  parallel_tasks(threads, groups * pieces, [&](int64_t i) {
    attention_few_task(f, i, memory);
    if (pieces == 1) attention_few_merge(f, i, memory);
  });
  for (int64_t i = 0; pieces > 1 && i < groups; ++i)
    attention_few_merge(f, i, memory);
}

void forward(const Task& task) {
  const AttentionForward f = forward_of(task);
  if (attention_has_few_rows(f.p))
    return few(f, static_cast<char*>(task.workspace), task.threads);
  const Tiled t = tiled(f.p);
  char* const memory = static_cast<char*>(task.workspace);
  const int threads = threads_for_tasks(task, t.tasks);
  Tasks tasks(t.tasks, threads);
  parallel_workers(threads, [&](int worker) {
    for (int64_t i = 0; tasks.take(worker, &i);)
      t.run(f, i, memory + worker * t.scratch);
  });
}

// The inputs of AttentionGrad: those of Attention, out, lse, dout.
struct Gradient {
  AttentionBackward g;
  int64_t tasks, scratch, parts;  // bytes, for one thread and for all
  void (*run)(const AttentionBackward& g,
              int64_t task,
              char* scratch,
              float* dq_parts);
  int sinks = -1;  // which output is the sinks' cotangent
};

Gradient gradient_of(const Task& task) {
  const auto& op = static_cast<const AttentionGrad&>(task.op);
  const Attention forward = op.forward();
  const size_t n = task.in.size() - 3;
  Gradient r{};
  AttentionBackward& g = r.g;
  g.p = attention_problem(forward, task.in.first(n));
  g.out = matrix(task.in[n]);
  const Operand& lse = task.in[n + 1];
  g.lse = {static_cast<const char*>(lse.data),
           float32,
           lse.strides[0],
           lse.strides[1],
           lse.strides[2],
           0};
  g.dout = matrix(task.in[n + 2]);
  for (size_t i = 0; i < op.wrt.size(); ++i) {
    char* to = static_cast<char*>(task.out[i].data);
    if (op.wrt[i] == 0) g.dq = to;
    if (op.wrt[i] == 1) g.dk = to;
    if (op.wrt[i] == 2) g.dv = to;
    if (op.wrt[i] >= 3) r.sinks = int(i);
  }
  const int64_t pieces = attention_pieces(g.p);
  r.tasks = g.p.batches * g.p.groups * pieces;
  const bool pairs = attention_backward_takes_pairs(g);
  r.run = pairs ? &attention_backward_pair_task : &attention_backward_task;
  r.scratch = pairs ? attention_backward_pair_scratch(g.p)
                    : attention_backward_scratch(g.p);
  if (pieces > 1) {
    r.parts = pieces * g.p.batches * g.p.heads * g.p.rows * g.p.depth * 4;
    r.parts = (r.parts + 63) / 64 * 64;
  }
  return r;
}

size_t backward_workspace(const Task& task) {
  const Gradient r = gradient_of(task);
  return size_t(threads_for_tasks(task, r.tasks) * r.scratch + r.parts);
}

// dq of all pieces, added up in order.
void merge(const AttentionBackward& g, const float* parts, int threads) {
  const AttentionProblem& p = g.p;
  const int64_t size = p.batches * p.heads * p.rows * p.depth;
  const int64_t pieces = attention_pieces(p);
  visit_dtype(p.dtype, [&]<class T>() {
    if constexpr (!std::is_same_v<T, complex64_t>) {
      T* dq = reinterpret_cast<T*>(g.dq);
      parallel_for(threads, size, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          float sum = 0;
          for (int64_t k = 0; k < pieces; ++k) sum += parts[k * size + i];
          dq[i] = static_cast<T>(sum * p.scale);
        }
      });
    }
  });
}

void backward(const Task& task) {
  const Gradient r = gradient_of(task);
  const AttentionBackward& g = r.g;
  char* const memory = static_cast<char*>(task.workspace);
  float* const parts =
      r.parts && g.dq ? reinterpret_cast<float*>(memory) : nullptr;
  const int threads = threads_for_tasks(task, r.tasks);
  if (g.dq || g.dk || g.dv) {
    Tasks tasks(r.tasks, threads);
    parallel_workers(threads, [&](int worker) {
      char* scratch = memory + r.parts + worker * r.scratch;
      for (int64_t i = 0; tasks.take(worker, &i);) r.run(g, i, scratch, parts);
    });
  }
  if (parts) merge(g, parts, threads);
  if (r.sinks < 0 || !task.out[size_t(r.sinks)].data) return;
  visit_dtype(g.p.dtype, [&]<class T>() {
    if constexpr (!std::is_same_v<T, complex64_t>) {
      T* to = static_cast<T*>(task.out[size_t(r.sinks)].data);
      parallel_tasks(threads, g.p.heads, [&](int64_t h) {
        to[h] = static_cast<T>(attention_sink_gradient(g, h));
      });
    }
  });
}

}  // namespace

// Enough tasks for many threads, each with enough keys to be worth it.
int64_t attention_pieces(const AttentionProblem& p) {
  constexpr int64_t kTasks = 16, kLeast = 256;
  const int64_t wanted = (kTasks - 1) / (p.batches * p.groups) + 1;
  return std::clamp<int64_t>(p.keys / kLeast, 1, wanted);
}

float AttentionProblem::sink(int64_t head) const {
  const char* at = sinks + head * sink_step * int64_t(size_of(dtype));
  return visit_dtype(dtype, [&]<class T>() -> float {
    if constexpr (std::is_same_v<T, complex64_t>) {
      return 0;
    } else {
      return static_cast<float>(*reinterpret_cast<const T*>(at));
    }
  });
}

AttentionProblem attention_problem(const Attention& op,
                                   std::span<const Operand> in) {
  AttentionProblem p{};
  const Shape &q = in[0].shape, &k = in[1].shape, &v = in[2].shape;
  p.batches = q[0];
  p.heads = q[1];
  p.groups = k[1];
  p.rows = q[2];
  p.keys = k[2];
  p.depth = q[3];
  p.width = v[3];
  p.scale = float(op.scale);
  p.mask = op.mask;
  p.dtype = in[0].dtype;
  p.q = matrix(in[0]);
  p.k = matrix(in[1]);
  p.v = matrix(in[2]);
  if (op.has_mask()) p.added = operand(in[3]);
  if (op.has_sinks) {
    const Operand& sinks = in[op.has_mask() ? 4 : 3];
    p.sinks = static_cast<const char*>(sinks.data);
    p.sink_step = sinks.strides[0];
  }
  return p;
}

Kernel attention() {
  Kernel k;
  k.name = "cpu::attention";
  k.why_not = &why_not;
  k.run = &forward;
  k.workspace = &forward_workspace;
  k.strided = true;
  return k;
}

Kernel attention_grad() {
  Kernel k;
  k.name = "cpu::attention_grad";
  k.why_not = &why_not;
  k.run = &backward;
  k.workspace = &backward_workspace;
  k.strided = true;
  return k;
}

}  // namespace treadle::backend::cpu
