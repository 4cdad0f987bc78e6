// Attention of many queries. A tile holds the scores of 64 keys against `span`
// queries, keys as rows: so the maximum and the sum over keys are elementwise,
// and both products read their left factor by broadcasts. Sums are kept as in
// Dao 2023, algorithm 1; the order of keys is fixed, whoever computes a task.
#include <cmath>

#include "treadle/backend/cpu/attention_problem.h"
#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/attention_forward.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "treadle/backend/cpu/attention_queries-inl.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

// Blocks of queries of a task: they share the keys and values in the cache.
constexpr int64_t kBlocks = 4;

int64_t chunk() { return kBlocks * span(); }

struct Scratch {
  QueryMemory queries;
  float *q, *o, *k, *v, *rows;
};

int64_t scratch(const AttentionProblem& p, Scratch* s, char* at) {
  int64_t used = 0;
  auto take = [&](int64_t n) {
    float* here = at ? reinterpret_cast<float*>(at + used) : nullptr;
    used += (n * 4 + 63) / 64 * 64;
    return here;
  };
  s->queries.take(p, chunk(), take);
  s->q = take(chunk() * p.depth);
  s->o = take(chunk() * padded(p.width));
  s->k = take(kKeys * padded(p.depth));
  s->v = take(kKeys * padded(p.width));
  s->rows = take(span() * padded(p.depth));
  return used;
}

struct Task : Queries {
  const AttentionForward& f;
  Scratch s;
  const int64_t o_row = padded(p.width);

  Task(const AttentionForward& forward,
       const Queries& q,
       const Scratch& scratch)
      : Queries(q), f(forward), s(scratch) {}

  // Queries turned around, (depth, span) for each block; zeros where there is
  // none, and where none of the keys is seen: so all weights become equal.
  void load_queries() const {
    const int64_t step = padded(p.depth), depth4 = p.depth / 4 * 4;
    for (int64_t g0 = 0; g0 < count; g0 += span()) {
      for (int64_t g = 0; g < span(); ++g) {
        float* to = s.rows + g * step;
        const bool none = g0 + g >= count || blind(g0 + g);
        if (none) {
          std::fill(to, to + step, 0.0f);
          continue;
        }
        const Row r = row(g0 + g);
        load_row(p.q.at(batch, r.head, r.i),
                 p.q.dtype,
                 p.q.column,
                 p.depth,
                 p.scale * kLog2e,
                 to);
      }
      float* q = s.q + g0 * p.depth;
      turn(s.rows, step, span(), depth4, q, span());
      for (int64_t j = depth4; j < p.depth; ++j) {
        for (int64_t g = 0; g < span(); ++g)
          q[j * span() + g] = s.rows[g * step + j];
      }
    }
  }

  // Scores become weights; `factor` is what earlier sums shrink by. Returns
  // whether any does.
  bool soften(int64_t g0, int64_t n) const {
    const F d;
    const int64_t lanes = int64_t(hn::Lanes(d)), step = span();
    bool shrinks = false;
    for (int64_t v = 0; v < span(); v += 2 * lanes) {
      float* const at = m.s + v;
      float* const top = m.top + g0 + v;
      float* const sum = m.sum + g0 + v;
      const Vf old0 = hn::LoadU(d, top), old1 = hn::LoadU(d, top + lanes);
      Vf top0 = old0, top1 = old1;
      for (int64_t j = 0; j < n; ++j) {
        top0 = hn::Max(top0, hn::LoadU(d, at + j * step));
        top1 = hn::Max(top1, hn::LoadU(d, at + j * step + lanes));
      }
      hn::StoreU(top0, d, top);
      hn::StoreU(top1, d, top + lanes);
      // Where all scores are -inf so far, what this adds is dropped later.
      const Vf none = hn::Set(d, -kInf);
      const Vf by0 = hn::IfThenElse(hn::Eq(top0, none), hn::Zero(d), top0);
      const Vf by1 = hn::IfThenElse(hn::Eq(top1, none), hn::Zero(d), top1);
      Vf sum0 = hn::Zero(d), sum1 = hn::Zero(d);
      for (int64_t j = 0; j < n; ++j) {
        float* const x = at + j * step;
        const Vf p0 = exp2(d, hn::Sub(hn::LoadU(d, x), by0));
        const Vf p1 = exp2(d, hn::Sub(hn::LoadU(d, x + lanes), by1));
        hn::StoreU(p0, d, x);
        hn::StoreU(p1, d, x + lanes);
        sum0 = hn::Add(sum0, p0);
        sum1 = hn::Add(sum1, p1);
      }
      const Vf factor0 = exp2(d, hn::Sub(old0, by0));
      const Vf factor1 = exp2(d, hn::Sub(old1, by1));
      hn::StoreU(hn::MulAdd(hn::LoadU(d, sum), factor0, sum0), d, sum);
      hn::StoreU(
          hn::MulAdd(hn::LoadU(d, sum + lanes), factor1, sum1), d, sum + lanes);
      hn::StoreU(factor0, d, m.factor + v);
      hn::StoreU(factor1, d, m.factor + v + lanes);
      const Vf one = hn::Set(d, 1.0f);
      shrinks = shrinks || !hn::AllTrue(d, hn::Eq(factor0, one)) ||
                !hn::AllTrue(d, hn::Eq(factor1, one));
    }
    return shrinks;
  }

  void shrink(int64_t g0) const {
    const F d;
    for (int64_t g = 0; g < span(); ++g) {
      if (m.factor[g] == 1.0f) continue;
      const Vf by = hn::Set(d, m.factor[g]);
      float* o = s.o + (g0 + g) * o_row;
      for (int64_t j = 0; j < o_row; j += int64_t(hn::Lanes(d)))
        hn::StoreU(hn::Mul(hn::LoadU(d, o + j), by), d, o + j);
    }
  }

  void tile(int64_t g0,
            int64_t j0,
            int64_t n,
            int64_t least,
            float reach,
            const Rows& k,
            const Rows& v) const {
    const bool masked = p.mask >= AttentionMask::boolean;
    bool adds = false;
    if (masked && !load_mask(g0, j0, n, reach, &adds)) return;
    multiply({k.data,
              k.step,
              1,
              s.q + g0 * p.depth,
              span(),
              m.s,
              span(),
              n,
              span(),
              p.depth},
             false);
    if (j0 + n > least) hide_later(g0, j0, n);
    if (adds) add_mask(n);
    if (soften(g0, n)) shrink(g0);
    const int64_t rows = std::min(span(), count - g0);
    multiply({m.s,
              1,
              span(),
              v.data,
              v.step,
              s.o + g0 * o_row,
              o_row,
              rows,
              o_row,
              n},
             true);
  }

  void run() const {
    start(chunk());
    load_queries();
    std::fill(s.o, s.o + chunk() * o_row, 0.0f);
    int64_t most[kBlocks] = {}, least[kBlocks] = {};
    int64_t end = 0;
    for (int64_t b = 0; b * span() < count; ++b) {
      const int64_t g0 = b * span(), g1 = std::min(g0 + span(), count);
      const auto [low, high] = std::minmax_element(m.limit + g0, m.limit + g1);
      least[b] = *low;
      most[b] = *high;
      end = std::max(end, most[b]);
    }
    for (int64_t j0 = 0; j0 < end; j0 += kKeys) {
      const int64_t n = std::min(kKeys, end - j0);
      const float reach = key_reach(j0, n);
      const Rows k = rows_of(p.k, batch, group, j0, n, p.depth, s.k);
      const Rows v = rows_of(p.v, batch, group, j0, n, p.width, s.v);
      for (int64_t b = 0; b * span() < count; ++b) {
        if (j0 < most[b])
          tile(
              b * span(), j0, std::min(n, most[b] - j0), least[b], reach, k, v);
      }
    }
    finish();
  }

  void finish() const {
    for (int64_t g = 0; g < count; ++g) {
      const Row r = row(g);
      const int64_t at = (batch * p.heads + r.head) * p.rows + r.i;
      if (f.out) {
        store_row(s.o + g * o_row,
                  p.width,
                  m.top[g] == -kInf ? kNan : 1.0f / m.sum[g],
                  p.dtype,
                  f.out + at * p.width * int64_t(size_of(p.dtype)));
      }
      if (!f.lse) continue;
      f.lse[at] = logarithm(g);
    }
  }
};

int64_t tasks(const AttentionProblem& p) {
  const int64_t rows = p.heads_per_group() * p.rows;
  return p.batches * p.groups * ((rows + chunk() - 1) / chunk());
}

int64_t scratch_bytes(const AttentionProblem& p) {
  Scratch s;
  return scratch(p, &s, nullptr);
}

// The last queries of a head first: they see most keys when the mask is
// causal.
void run(const AttentionForward& f, int64_t task, char* memory) {
  const AttentionProblem& p = f.p;
  const int64_t rows = p.heads_per_group() * p.rows;
  const int64_t chunks = (rows + chunk() - 1) / chunk();
  const int64_t place = task / chunks,
                first = (chunks - 1 - task % chunks) * chunk();
  Scratch s;
  scratch(p, &s, memory);
  const Queries q{p,
                  place / p.groups,
                  place % p.groups,
                  first,
                  std::min(chunk(), rows - first),
                  s.queries};
  Task(f, q, s).run();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace treadle::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(tasks);
HWY_EXPORT(scratch_bytes);
HWY_EXPORT(run);

int64_t attention_tasks(const AttentionProblem& p) {
  return HWY_DYNAMIC_DISPATCH(tasks)(p);
}
int64_t attention_scratch(const AttentionProblem& p) {
  return HWY_DYNAMIC_DISPATCH(scratch_bytes)(p);
}
void attention_task(const AttentionForward& f, int64_t task, char* scratch) {
  HWY_DYNAMIC_DISPATCH(run)(f, task, scratch);
}

}  // namespace treadle::backend::cpu
#endif
