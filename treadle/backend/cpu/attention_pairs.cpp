// Attention of many queries in bfloat16. Scores are kept as in
// attention_forward.cpp, keys as rows, so that two rows of weights make one row
// of pairs without moving any element; results are summed turned around, values
// as rows: out' = v' weights.
#include "treadle/backend/cpu/attention_problem.h"
#include "treadle/backend/cpu/bf16_product.h"
#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/attention_pairs.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "treadle/backend/cpu/attention_queries-inl.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t kBlocks = 16;  // of queries of a task at most
constexpr int64_t kPairs = kKeys / 2;

// Queries of a task: many, since they share values that were turned around,
// unless that leaves too few tasks. No result depends on it.
int64_t chunk(const AttentionProblem& p) {
  constexpr int64_t kTasks = 16, kFew = 4;
  const int64_t rows = p.heads_per_group() * p.rows;
  int64_t n = kBlocks;
  while (n > kFew && p.batches * p.groups * (rows / (n * span()) + 1) < kTasks)
    n /= 2;
  return n * span();
}
int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

struct Scratch {
  QueryMemory queries;
  uint32_t *q, *weights, *value_rows;  // pairs
  uint16_t *k, *v;                     // v turned around, (width, keys)
  float *o, *rows;
};

int64_t scratch(const AttentionProblem& p, Scratch* s, char* at) {
  int64_t used = 0;
  auto take = [&](int64_t n) {
    float* here = at ? reinterpret_cast<float*>(at + used) : nullptr;
    used += (n * 4 + 63) / 64 * 64;
    return here;
  };
  const int64_t depth = up(p.depth, 32), width = up(p.width, 16);
  s->queries.take(p, chunk(p), take);
  s->q = reinterpret_cast<uint32_t*>(take(chunk(p) * depth / 2));
  s->weights = reinterpret_cast<uint32_t*>(take(kPairs * span()));
  s->value_rows = reinterpret_cast<uint32_t*>(take(kPairs * width));
  s->k = reinterpret_cast<uint16_t*>(take(kKeys * depth / 2));
  s->v = reinterpret_cast<uint16_t*>(take(kKeys * width / 2));
  s->o = take(chunk(p) * width);
  s->rows = take(span() * std::max(depth / 2, width));
  return used;
}

struct Task : Queries {
  const AttentionForward& f;
  Scratch s;
  const Bf16Scope& product;
  const int64_t depth = up(p.depth, 32), width = up(p.width, 16);
  const float factor = p.scale * kLog2e;

  Task(const AttentionForward& forward,
       const Queries& q,
       const Scratch& scratch,
       const Bf16Scope& scope)
      : Queries(q), f(forward), s(scratch), product(scope) {}

  static const uint16_t* row_at(const AttentionOperand& x,
                                int64_t b,
                                int64_t h,
                                int64_t i) {
    return reinterpret_cast<const uint16_t*>(x.at(b, h, i));
  }

  // Pairs of features, turned around: (depth / 2, span) for each block.
  void load_queries() const {
    for (int64_t g0 = 0; g0 < count; g0 += span()) {
      for (int64_t g = 0; g < span(); ++g) {
        auto* to = reinterpret_cast<uint16_t*>(s.rows + g * depth / 2);
        std::fill(to, to + depth, uint16_t(0));
        if (g0 + g >= count || blind(g0 + g)) continue;
        const Row r = row(g0 + g);
        std::copy_n(row_at(p.q, batch, r.head, r.i), p.depth, to);
      }
      turn(s.rows,
           depth / 2,
           span(),
           depth / 2,
           reinterpret_cast<float*>(s.q + g0 * depth / 2),
           span());
    }
  }

  // Rows of keys, of a whole number of tiles.
  const uint16_t* load_keys(int64_t j0, int64_t n, int64_t* step) const {
    *step = p.k.row;
    if (p.depth == depth && n % 16 == 0) return row_at(p.k, batch, group, j0);
    for (int64_t j = 0; j < up(n, 16); ++j) {
      uint16_t* to = s.k + j * depth;
      std::fill(to, to + depth, uint16_t(0));
      if (j < n) std::copy_n(row_at(p.k, batch, group, j0 + j), p.depth, to);
    }
    *step = depth;
    return s.k;
  }

  // Values turned around, (width, kKeys): first pairs of rows, then those as
  // words.
  void load_values(int64_t j0, int64_t n) const {
    const hn::ScalableTag<uint32_t> d;
    const hn::Rebind<uint16_t, decltype(d)> half;
    const int64_t lanes = int64_t(hn::Lanes(d));
    for (int64_t j = 0; j < kKeys; j += 2) {
      uint32_t* to = s.value_rows + j / 2 * width;
      if (j >= n) {
        std::fill(to, to + width, 0u);
        continue;
      }
      const uint16_t* a = row_at(p.v, batch, group, j0 + j);
      const uint16_t* b = row_at(p.v, batch, group, j0 + j + 1);
      const bool two = j + 1 < n;
      int64_t c = 0;
      for (; two && c + lanes <= p.width; c += lanes) {
        const auto low = hn::PromoteTo(d, hn::LoadU(half, a + c));
        const auto high = hn::PromoteTo(d, hn::LoadU(half, b + c));
        hn::StoreU(hn::Or(low, hn::ShiftLeft<16>(high)), d, to + c);
      }
      for (; c < p.width; ++c)
        to[c] = uint32_t(a[c]) | (two ? uint32_t(b[c]) << 16 : 0u);
      std::fill(to + p.width, to + width, 0u);
    }
    turn(reinterpret_cast<float*>(s.value_rows),
         width,
         kPairs,
         width,
         reinterpret_cast<float*>(s.v),
         kPairs);
  }

  void scale(int64_t n) const {
    const F d;
    const Vf by = hn::Set(d, factor);
    for (int64_t i = 0; i < n * span(); i += int64_t(hn::Lanes(d)))
      hn::StoreU(hn::Mul(hn::LoadU(d, m.s + i), by), d, m.s + i);
  }

  // Scores times `by` become pairs of weights. Returns whether sums shrink.
  bool soften(int64_t g0, int64_t n, float by) const {
    const F d;
    const hn::RebindToUnsigned<F> du;
    const int64_t lanes = int64_t(hn::Lanes(d)), step = span();
    const Vf c = hn::Set(d, by);
    // Rounded to nearest; ties do not matter here.
    const auto half = hn::Set(du, 0x8000u), high = hn::Set(du, 0xffff0000u);
    bool shrinks = false;
    for (int64_t v = 0; v < span(); v += lanes) {
      const float* const at = m.s + v;
      float* const top = m.top + g0 + v;
      float* const sum = m.sum + g0 + v;
      Vf most = hn::LoadU(d, at), next = most;
      for (int64_t j = 0; j + 1 < n; j += 2) {
        most = hn::Max(most, hn::LoadU(d, at + j * step));
        next = hn::Max(next, hn::LoadU(d, at + (j + 1) * step));
      }
      most = hn::Max(most, hn::Max(next, hn::LoadU(d, at + (n - 1) * step)));
      const Vf old = hn::LoadU(d, top);
      most = hn::Max(old, hn::Mul(most, c));
      hn::StoreU(most, d, top);
      const Vf less =
          hn::IfThenElse(hn::Eq(most, hn::Set(d, -kInf)), hn::Zero(d), most);
      Vf sum0 = hn::Zero(d), sum1 = hn::Zero(d);
      uint32_t* to = s.weights + v;
      for (int64_t j = 0; j < n; j += 2, to += step) {
        const Vf p0 = exp2(d, hn::MulSub(hn::LoadU(d, at + j * step), c, less));
        Vf p1 = hn::Zero(d);
        if (j + 1 < n)
          p1 = exp2(d, hn::MulSub(hn::LoadU(d, at + (j + 1) * step), c, less));
        sum0 = hn::Add(sum0, p0);
        sum1 = hn::Add(sum1, p1);
        const auto u0 = hn::Add(hn::BitCast(du, p0), half);
        const auto u1 = hn::Add(hn::BitCast(du, p1), half);
        hn::StoreU(hn::Or(hn::ShiftRight<16>(u0), hn::And(u1, high)), du, to);
      }
      const Vf shrink = exp2(d, hn::Sub(old, less));
      hn::StoreU(
          hn::MulAdd(hn::LoadU(d, sum), shrink, hn::Add(sum0, sum1)), d, sum);
      hn::StoreU(shrink, d, m.factor + v);
      shrinks = shrinks || !hn::AllTrue(d, hn::Eq(shrink, hn::Set(d, 1.0f)));
    }
    const int64_t pairs = (n + 1) / 2;
    std::fill(s.weights + pairs * step, s.weights + up(n, 32) / 2 * step, 0u);
    return shrinks;
  }

  void shrink(float* o) const {
    const F d;
    for (int64_t v = 0; v < span(); v += int64_t(hn::Lanes(d))) {
      const Vf by = hn::LoadU(d, m.factor + v);
      for (int64_t c = 0; c < width; ++c) {
        float* at = o + c * span() + v;
        hn::StoreU(hn::Mul(hn::LoadU(d, at), by), d, at);
      }
    }
  }

  void tile(int64_t g0,
            int64_t j0,
            int64_t n,
            int64_t least,
            float reach,
            const uint16_t* k,
            int64_t k_step) const {
    bool adds = false;
    if (p.mask >= AttentionMask::boolean && !load_mask(g0, j0, n, reach, &adds))
      return;
    product.multiply({k,
                      k_step,
                      s.q + g0 * depth / 2,
                      span(),
                      m.s,
                      span(),
                      up(n, 16),
                      span(),
                      depth},
                     false);
    const bool now = adds || !(factor > 0);
    if (now) scale(n);
    if (j0 + n > least) hide_later(g0, j0, n);
    if (adds) add_mask(n);
    float* o = s.o + g0 * width;
    if (soften(g0, n, now ? 1.0f : factor)) shrink(o);
    product.multiply(
        {s.v, kKeys, s.weights, span(), o, span(), width, span(), up(n, 32)},
        true);
  }

  void run() const {
    start(chunk(p));
    load_queries();
    std::fill(s.o, s.o + chunk(p) * width, 0.0f);
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
      const int64_t n = std::min(kKeys, p.keys - j0);
      const float reach = key_reach(j0, n);
      int64_t k_step;
      const uint16_t* k = load_keys(j0, n, &k_step);
      load_values(j0, n);
      for (int64_t b = 0; b * span() < count; ++b) {
        // Whole tiles of keys: those that nobody sees are hidden.
        const int64_t some = std::min(n, up(most[b] - j0, 16));
        if (j0 < most[b])
          tile(b * span(), j0, some, least[b], reach, k, k_step);
      }
    }
    finish();
  }

  void finish() const {
    for (int64_t g0 = 0; g0 < count; g0 += span()) {
      turn(s.o + g0 * width, span(), width, span(), s.rows, width);
      for (int64_t g = g0; g < std::min(g0 + span(), count); ++g) {
        const Row r = row(g);
        const int64_t at = (batch * p.heads + r.head) * p.rows + r.i;
        if (f.out) {
          store_row(s.rows + (g - g0) * width,
                    p.width,
                    m.top[g] == -kInf ? kNan : 1.0f / m.sum[g],
                    p.dtype,
                    f.out + at * p.width * int64_t(size_of(p.dtype)));
        }
        if (f.lse) f.lse[at] = logarithm(g);
      }
    }
  }
};

bool takes_pairs(const AttentionProblem& p) {
  return p.dtype == bfloat16 && hn::Lanes(F()) == 16 && p.q.column == 1 &&
         p.k.column == 1 && p.v.column == 1 && p.depth >= 16 && p.width >= 16 &&
         has_bf16_product();
}

int64_t chunks(const AttentionProblem& p) {
  return (p.heads_per_group() * p.rows + chunk(p) - 1) / chunk(p);
}
int64_t tasks(const AttentionProblem& p) {
  return p.batches * p.groups * chunks(p);
}

int64_t scratch_bytes(const AttentionProblem& p) {
  Scratch s;
  return scratch(p, &s, nullptr);
}

void run(const AttentionForward& f, int64_t task, char* memory) {
  const AttentionProblem& p = f.p;
  const int64_t place = task / chunks(p),
                first = (chunks(p) - 1 - task % chunks(p)) * chunk(p);
  Scratch s;
  scratch(p, &s, memory);
  const Queries q{p,
                  place / p.groups,
                  place % p.groups,
                  first,
                  std::min(chunk(p), p.heads_per_group() * p.rows - first),
                  s.queries};
  const Bf16Scope scope;
  Task(f, q, s, scope).run();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace treadle::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(takes_pairs);
HWY_EXPORT(tasks);
HWY_EXPORT(scratch_bytes);
HWY_EXPORT(run);

bool attention_takes_pairs(const AttentionProblem& p) {
  return HWY_DYNAMIC_DISPATCH(takes_pairs)(p);
}
int64_t attention_pair_tasks(const AttentionProblem& p) {
  return HWY_DYNAMIC_DISPATCH(tasks)(p);
}
int64_t attention_pair_scratch(const AttentionProblem& p) {
  return HWY_DYNAMIC_DISPATCH(scratch_bytes)(p);
}
void attention_pair_task(const AttentionForward& f,
                         int64_t task,
                         char* scratch) {
  HWY_DYNAMIC_DISPATCH(run)(f, task, scratch);
}

}  // namespace treadle::backend::cpu
#endif
