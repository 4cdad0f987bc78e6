// The gradient of attention. Weights are computed again from the logarithms
// that the forward pass kept (Dao 2023, algorithm 2). A task owns some keys of
// one group: it adds up dk and dv for them over all queries, in order, and dq
// for its keys alone; so no sum depends on who computes what.
#include <cmath>
#include <vector>

#include "treadle/backend/cpu/attention_problem.h"
#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/attention_backward.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "treadle/backend/cpu/attention_gradient-inl.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

struct Scratch {
  GradientMemory gradient;
  // Queries and dout turned around, (depth, block_rows) for each block, and as
  // rows where they cannot be read in place.
  float *q, *dout, *q_rows, *dout_rows;
  float *k, *v;
};

int64_t scratch(const AttentionProblem& p, Scratch* s, char* at) {
  int64_t used = 0;
  auto take = [&](int64_t n) {
    float* here = at ? reinterpret_cast<float*>(at + used) : nullptr;
    used += (n * 4 + 63) / 64 * 64;
    return here;
  };
  const int64_t rows = blocks(p) * block_rows();
  const int64_t depth = padded(p.depth), width = padded(p.width);
  s->gradient.take(p, take);
  s->q = take(rows * p.depth);
  s->dout = take(rows * p.width);
  s->q_rows = take(rows * depth);
  s->dout_rows = take(rows * width);
  s->k = take(kKeys * depth);
  s->v = take(kKeys * width);
  return used;
}

struct Task : Gradient<Task> {
  Scratch s;
  Rows q_rows{}, dout_rows{}, k{}, v{};

  Task(const AttentionBackward& gradient,
       const Share& share,
       const Scratch& scratch)
      : Gradient(gradient, share, scratch.gradient), s(scratch) {}

  // A block of queries, or of dout, turned around.
  void turn_block(const AttentionOperand& x,
                  int64_t columns,
                  float scale,
                  int64_t i0,
                  float* to) const {
    const int64_t row = padded(columns), whole = columns / 4 * 4;
    for (int64_t i = 0; i < step; ++i) {
      float* r = m.rows + i * row;
      if (i0 + i < p.rows) {
        load_row(
            x.at(batch, head, i0 + i), x.dtype, x.column, columns, scale, r);
      } else {
        std::fill(r, r + row, 0.0f);
      }
    }
    turn(m.rows, row, step, whole, to, step);
    for (int64_t j = whole; j < columns; ++j) {
      for (int64_t i = 0; i < step; ++i) to[j * step + i] = m.rows[i * row + j];
    }
  }

  void load_factors() {
    for (int64_t i0 = 0; i0 < p.rows; i0 += step) {
      turn_block(p.q, p.depth, p.scale * kLog2e, i0, s.q + i0 * p.depth);
      turn_block(g.dout, p.width, 1, i0, s.dout + i0 * p.width);
    }
    q_rows = rows_of(p.q, batch, head, 0, p.rows, p.depth, s.q_rows);
    dout_rows = rows_of(g.dout, batch, head, 0, p.rows, p.width, s.dout_rows);
  }

  void load_keys(int64_t j0, int64_t n) {
    k = rows_of(p.k, batch, group, j0, n, p.depth, s.k);
    v = rows_of(p.v, batch, group, j0, n, p.width, s.v);
  }

  void tile(const Tile& t, float* dk, float* dv) const {
    bool adds = false;
    if (p.mask >= AttentionMask::boolean && !load_mask(t, &adds)) return;
    const float* q = s.q + (t.i0 - t.c) * p.depth + t.c;
    const float* dout = s.dout + (t.i0 - t.c) * p.width + t.c;
    multiply({k.data, k.step, 1, q, step, t.s, step, t.n, t.columns, p.depth},
             false);
    multiply(
        {v.data, v.step, 1, dout, step, t.ds, step, t.n, t.columns, p.width},
        false);
    weigh_tile(t, adds, 1);
    if (g.dv) {
      multiply({t.s,
                step,
                1,
                dout_rows.data + t.i0 * dout_rows.step,
                dout_rows.step,
                dv,
                width,
                t.n,
                width,
                t.real},
               true);
    }
    if (g.dk) {
      multiply({t.ds,
                step,
                1,
                q_rows.data + t.i0 * q_rows.step,
                q_rows.step,
                dk,
                depth,
                t.n,
                depth,
                t.real},
               true);
    }
    if (g.dq) {
      multiply({t.ds,
                1,
                step,
                k.data,
                k.step,
                m.dq + t.i0 * depth,
                depth,
                t.real,
                depth,
                t.n},
               true);
    }
  }

  const float* dq_rows(int64_t i0) const { return m.dq + i0 * depth; }
};

int64_t scratch_bytes(const AttentionProblem& p) {
  Scratch s;
  return scratch(p, &s, nullptr);
}

void run(const AttentionBackward& g,
         int64_t task,
         char* memory,
         float* dq_parts) {
  Scratch s;
  scratch(g.p, &s, memory);
  Task(g, share_of(g, task, dq_parts), s).run();
}

// The cotangent of a head's sink: minus the sum of weight times delta.
float sink(const AttentionBackward& g, int64_t head) {
  const AttentionProblem& p = g.p;
  std::vector<float> memory(size_t(2 * padded(p.width)));
  Task t(g, Share{}, Scratch{});
  t.head = head;
  double sum = 0;
  for (int64_t b = 0; b < p.batches; ++b) {
    t.batch = b;
    for (int64_t i = 0; i < p.rows; ++i) {
      const float weight = std::exp(p.sink(head) - t.lse(i));
      sum += double(weight) * double(t.dot(g.dout, g.out, i, memory.data()));
    }
  }
  return float(-sum);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace treadle::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(scratch_bytes);
HWY_EXPORT(run);
HWY_EXPORT(sink);

int64_t attention_backward_scratch(const AttentionProblem& p) {
  return HWY_DYNAMIC_DISPATCH(scratch_bytes)(p);
}
void attention_backward_task(const AttentionBackward& g,
                             int64_t task,
                             char* scratch,
                             float* dq_parts) {
  HWY_DYNAMIC_DISPATCH(run)(g, task, scratch, dq_parts);
}
float attention_sink_gradient(const AttentionBackward& g, int64_t head) {
  return HWY_DYNAMIC_DISPATCH(sink)(g, head);
}

}  // namespace treadle::backend::cpu
#endif
