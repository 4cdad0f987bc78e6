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

#include "treadle/backend/cpu/attention_tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

// Blocks of queries of a task: they share the keys and values in the cache.
constexpr int64_t kBlocks = 4;

int64_t chunk() { return kBlocks * span(); }

// Rows of a task: queries of all heads of a group, one head after another.
struct Row {
  int64_t head, i;
};

struct Scratch {
  float *q, *o, *s, *mask, *mask_rows, *k, *v, *rows;
  float *top, *sum, *factor;
  int32_t* limit;
};

int64_t scratch(const AttentionProblem& p, Scratch* s, char* at) {
  int64_t used = 0;
  auto take = [&](int64_t n) {
    float* here = at ? reinterpret_cast<float*>(at + used) : nullptr;
    used += (n * 4 + 63) / 64 * 64;
    return here;
  };
  const bool masked = p.mask >= AttentionMask::boolean;
  s->q = take(chunk() * p.depth);
  s->o = take(chunk() * padded(p.width));
  s->s = take(kKeys * span());
  s->mask = take(masked ? kKeys * span() : 0);
  s->mask_rows = take(masked ? kKeys * span() : 0);
  s->k = take(kKeys * padded(p.depth));
  s->v = take(kKeys * padded(p.width));
  s->rows = take(span() * padded(p.depth));
  s->top = take(chunk());
  s->sum = take(chunk());
  s->factor = take(span());
  s->limit = reinterpret_cast<int32_t*>(take(chunk()));
  return used;
}

struct Task {
  const AttentionForward& f;
  const AttentionProblem& p = f.p;
  int64_t batch, group, first, count;  // rows of the group
  Scratch s;
  int64_t o_row = padded(p.width);

  Row row(int64_t g) const {
    g += first;
    return {group * p.heads_per_group() + g / p.rows, g % p.rows};
  }
  bool blind(int64_t g) const { return p.seen(row(g).i) <= 0; }

  // Queries turned around, (depth, span) for each block; zeros where there is
  // none, and where none of the keys is seen: so all weights become equal.
  void load_queries() const {
    const int64_t step = padded(p.depth), depth4 = p.depth / 4 * 4;
    for (int64_t g0 = 0; g0 < count; g0 += span()) {
      for (int64_t g = 0; g < span(); ++g) {
        float* to = s.rows + g * step;
        const bool none = g0 + g >= count || blind(g0 + g);
        s.limit[g0 + g] = int32_t(p.keys);
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
        s.limit[g0 + g] = int32_t(std::min(p.seen(r.i), p.keys));
      }
      float* q = s.q + g0 * p.depth;
      turn(s.rows, step, span(), depth4, q, span());
      for (int64_t j = depth4; j < p.depth; ++j) {
        for (int64_t g = 0; g < span(); ++g)
          q[j * span() + g] = s.rows[g * step + j];
      }
    }
  }

  void start() const {
    for (int64_t g = 0; g < chunk(); ++g) {
      const bool sink = p.sinks && g < count;
      s.top[g] = sink ? p.sink(row(g).head) * kLog2e : -kInf;
      s.sum[g] = sink ? 1.0f : 0.0f;
    }
    std::fill(s.o, s.o + chunk() * o_row, 0.0f);
  }

  // Keys j0 ... j0 + n - 1 are seen by those queries whose limit is above.
  void hide_later(int64_t g0, int64_t j0, int64_t n) const {
    const F d;
    const hn::RebindToSigned<F> di;
    const Vf unseen = hn::Set(d, kUnseen);
    for (int64_t v = 0; v < span(); v += int64_t(hn::Lanes(d))) {
      const auto limit = hn::LoadU(di, s.limit + g0 + v);
      for (int64_t j = 0; j < n; ++j) {
        float* at = s.s + j * span() + v;
        const auto seen =
            hn::RebindMask(d, hn::Gt(limit, hn::Set(di, int32_t(j0 + j))));
        hn::StoreU(hn::IfThenElse(seen, hn::LoadU(d, at), unseen), d, at);
      }
    }
  }

  // Loads the mask of a tile: false when the tile cannot change anything.
  bool load_mask(int64_t g0, int64_t j0, int64_t n, bool* adds) const {
    const int64_t rows = std::min(span(), count - g0);
    Range all{kInf, -kInf};
    for (int64_t g = 0; g < span(); ++g) {
      float* to = s.mask_rows + g * kKeys;
      if (g >= rows) {
        std::fill(to, to + kKeys, 0.0f);
        continue;
      }
      const Row r = row(g0 + g);
      const char* from = p.added.at(batch, r.head, r.i) +
                         j0 * p.added.column * int64_t(size_of(p.added.dtype));
      const Range range = mask_row(p.added, from, n, to);
      all.low = std::min(all.low, range.low);
      all.high = std::max(all.high, range.high);
    }
    *adds = !(all.low == 0 && all.high == 0);
    if (all.high > kNothing || all.high != all.high) return true;
    if (all.high == -kInf) return false;
    for (int64_t g = 0; g < rows; ++g) {
      if (!(s.top[g0 + g] > kNothing)) return true;
    }
    return false;
  }

  void add_mask(int64_t n) const {
    const F d;
    turn(s.mask_rows, kKeys, span(), (n + 3) / 4 * 4, s.mask, span());
    const int64_t lanes = int64_t(hn::Lanes(d));
    for (int64_t i = 0; i < n * span(); i += lanes) {
      const Vf x = hn::LoadU(d, s.s + i), m = hn::LoadU(d, s.mask + i);
      hn::StoreU(hn::Add(x, m), d, s.s + i);
    }
  }

  // Scores become weights; `factor` is what earlier sums shrink by. Returns
  // whether any does.
  bool soften(int64_t g0, int64_t n) const {
    const F d;
    const int64_t lanes = int64_t(hn::Lanes(d)), step = span();
    bool shrinks = false;
    for (int64_t v = 0; v < span(); v += 2 * lanes) {
      float* const at = s.s + v;
      float* const top = s.top + g0 + v;
      float* const sum = s.sum + g0 + v;
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
      hn::StoreU(factor0, d, s.factor + v);
      hn::StoreU(factor1, d, s.factor + v + lanes);
      const Vf one = hn::Set(d, 1.0f);
      shrinks = shrinks || !hn::AllTrue(d, hn::Eq(factor0, one)) ||
                !hn::AllTrue(d, hn::Eq(factor1, one));
    }
    return shrinks;
  }

  void shrink(int64_t g0) const {
    const F d;
    for (int64_t g = 0; g < span(); ++g) {
      if (s.factor[g] == 1.0f) continue;
      const Vf by = hn::Set(d, s.factor[g]);
      float* o = s.o + (g0 + g) * o_row;
      for (int64_t j = 0; j < o_row; j += int64_t(hn::Lanes(d)))
        hn::StoreU(hn::Mul(hn::LoadU(d, o + j), by), d, o + j);
    }
  }

  void tile(int64_t g0,
            int64_t j0,
            int64_t n,
            int64_t least,
            const Rows& k,
            const Rows& v) const {
    const bool masked = p.mask >= AttentionMask::boolean;
    bool adds = false;
    if (masked && !load_mask(g0, j0, n, &adds)) return;
    multiply({k.data,
              k.step,
              1,
              s.q + g0 * p.depth,
              span(),
              s.s,
              span(),
              n,
              span(),
              p.depth},
             false);
    if (j0 + n > least) hide_later(g0, j0, n);
    if (adds) add_mask(n);
    if (soften(g0, n)) shrink(g0);
    const int64_t rows = std::min(span(), count - g0);
    multiply({s.s,
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
    load_queries();
    start();
    int64_t most[kBlocks] = {}, least[kBlocks] = {};
    int64_t end = 0;
    for (int64_t b = 0; b * span() < count; ++b) {
      const int64_t g0 = b * span(), g1 = std::min(g0 + span(), count);
      const auto [low, high] = std::minmax_element(s.limit + g0, s.limit + g1);
      least[b] = *low;
      most[b] = *high;
      end = std::max(end, most[b]);
    }
    for (int64_t j0 = 0; j0 < end; j0 += kKeys) {
      const int64_t n = std::min(kKeys, end - j0);
      const Rows k = rows_of(p.k, batch, group, j0, n, p.depth, s.k);
      const Rows v = rows_of(p.v, batch, group, j0, n, p.width, s.v);
      for (int64_t b = 0; b * span() < count; ++b) {
        if (j0 < most[b])
          tile(b * span(), j0, std::min(n, most[b] - j0), least[b], k, v);
      }
    }
    finish();
  }

  float logarithm(int64_t g) const {
    if (blind(g) || s.top[g] == kUnseen) return kBlind;
    if (s.top[g] == -kInf) return kNan;  // scores of -inf alone: 0 / 0
    return (s.top[g] + std::log2(s.sum[g])) * kLn2;
  }

  void finish() const {
    for (int64_t g = 0; g < count; ++g) {
      const Row r = row(g);
      const int64_t at = (batch * p.heads + r.head) * p.rows + r.i;
      if (f.out) {
        store_row(s.o + g * o_row,
                  p.width,
                  s.top[g] == -kInf ? kNan : 1.0f / s.sum[g],
                  p.dtype,
                  f.out + at * p.width * int64_t(size_of(p.dtype)));
      }
      if (!f.lse) continue;
      f.lse[at] = logarithm(g);
    }
  }
};

int64_t tasks(const AttentionForward& f) {
  const int64_t rows = f.p.heads_per_group() * f.p.rows;
  return f.p.batches * f.p.groups * ((rows + chunk() - 1) / chunk());
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
  Task t{f,
         f.p,
         place / p.groups,
         place % p.groups,
         first,
         std::min(chunk(), rows - first),
         {}};
  scratch(p, &t.s, memory);
  t.run();
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

int64_t attention_tasks(const AttentionForward& f) {
  return HWY_DYNAMIC_DISPATCH(tasks)(f);
}
int64_t attention_scratch(const AttentionProblem& p) {
  return HWY_DYNAMIC_DISPATCH(scratch_bytes)(p);
}
void attention_task(const AttentionForward& f, int64_t task, char* scratch) {
  HWY_DYNAMIC_DISPATCH(run)(f, task, scratch);
}

}  // namespace treadle::backend::cpu
#endif
