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
        return "the mask's gradient is as large as the scores";
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

size_t forward_workspace(const Task& task) {
  const AttentionForward f = forward_of(task);
  const int threads = threads_for_tasks(task, attention_tasks(f));
  return size_t(threads) * size_t(attention_scratch(f.p));
}

void forward(const Task& task) {
  const AttentionForward f = forward_of(task);
  const int64_t count = attention_tasks(f), bytes = attention_scratch(f.p);
  char* const memory = static_cast<char*>(task.workspace);
  Tasks tasks(count);
  parallel_workers(threads_for_tasks(task, count), [&](int worker) {
    for (int64_t i = 0; tasks.take(&i);)
      attention_task(f, i, memory + worker * bytes);
  });
}

}  // namespace

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

}  // namespace treadle::backend::cpu
