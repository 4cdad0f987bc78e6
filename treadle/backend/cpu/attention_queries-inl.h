// The queries of one task, of all heads of a group one head after another, with
// what they see: the part that forward kernels of any dtype share.
#include <cmath>

#include "treadle/backend/cpu/attention_tiles-inl.h"

#if defined(TREADLE_BACKEND_CPU_ATTENTION_QUERIES_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_ATTENTION_QUERIES_INL_H_
#undef TREADLE_BACKEND_CPU_ATTENTION_QUERIES_INL_H_
#else
#define TREADLE_BACKEND_CPU_ATTENTION_QUERIES_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

struct Row {
  int64_t head, i;
};

// Of one tile, and for each query of a task.
struct QueryMemory {
  float *s, *mask, *mask_rows, *factor;
  float *top, *sum;  // of all scores so far
  int32_t* limit;    // keys below it are seen
  float* reach;      // of each block: its longest query, in base 2

  // `take` gives that many floats.
  template <class Take>
  void take(const AttentionProblem& p, int64_t queries, Take&& take) {
    const bool masked = p.mask >= AttentionMask::boolean;
    s = take(kKeys * span());
    mask = take(masked ? kKeys * span() : 0);
    mask_rows = take(masked ? std::max(kKeys * span(), padded(p.depth)) : 0);
    reach = take(masked ? queries / span() : 0);
    factor = take(span());
    top = take(queries);
    sum = take(queries);
    limit = reinterpret_cast<int32_t*>(take(queries));
  }
};

struct Queries {
  const AttentionProblem& p;
  int64_t batch, group, first, count;  // rows of the group
  QueryMemory m;

  Row row(int64_t g) const {
    g += first;
    return {group * p.heads_per_group() + g / p.rows, g % p.rows};
  }
  bool blind(int64_t g) const { return p.blind(row(g).i); }

  void start(int64_t queries) const {
    for (int64_t g = 0; g < queries; ++g) {
      const bool real = g < count, sink = p.sinks && real;
      m.top[g] = sink ? p.sink(row(g).head) * kLog2e : -kInf;
      m.sum[g] = sink ? 1.0f : 0.0f;
      m.limit[g] = int32_t(
          real && !blind(g) ? std::min(p.seen(row(g).i), p.keys) : p.keys);
    }
    if (p.mask < AttentionMask::boolean) return;
    const float factor = std::abs(p.scale) * kLog2e;
    for (int64_t b = 0; b < queries / span(); ++b) {
      m.reach[b] = 0;
      const int64_t end = std::min((b + 1) * span(), count);
      for (int64_t g = b * span(); g < end; ++g) {
        const Row r = row(g);
        m.reach[b] = std::max(
            m.reach[b],
            factor * longest(p.q, batch, r.head, r.i, 1, p.depth, m.mask_rows));
      }
    }
  }

  // What a key of a block can add to the largest score, when there is a mask
  // that may hide them all.
  float key_reach(int64_t j0, int64_t n) const {
    if (p.mask < AttentionMask::boolean) return 0;
    return longest(p.k, batch, group, j0, n, p.depth, m.mask_rows);
  }

  // Keys j0 ... j0 + n - 1 are seen by those queries whose limit is above.
  void hide_later(int64_t g0, int64_t j0, int64_t n) const {
    const F d;
    const hn::RebindToSigned<F> di;
    const Vf unseen = hn::Set(d, kUnseen);
    for (int64_t v = 0; v < span(); v += int64_t(hn::Lanes(d))) {
      const auto limit = hn::LoadU(di, m.limit + g0 + v);
      for (int64_t j = 0; j < n; ++j) {
        float* at = m.s + j * span() + v;
        const auto seen =
            hn::RebindMask(d, hn::Gt(limit, hn::Set(di, int32_t(j0 + j))));
        hn::StoreU(hn::IfThenElse(seen, hn::LoadU(d, at), unseen), d, at);
      }
    }
  }

  // Loads the mask of a tile. False when no weight would be above 0: when no
  // score can come near the largest so far.
  bool load_mask(
      int64_t g0, int64_t j0, int64_t n, float keys, bool* adds) const {
    const int64_t rows = std::min(span(), count - g0);
    Range all{kInf, -kInf};
    for (int64_t g = 0; g < span(); ++g) {
      float* to = m.mask_rows + g * kKeys;
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
    float least = kInf;
    for (int64_t g = 0; g < rows; ++g) least = std::min(least, m.top[g0 + g]);
    const bool none = all.high == -kInf;
    return !(none || all.high + m.reach[g0 / span()] * keys < least + kTiny);
  }

  void add_mask(int64_t n) const {
    const F d;
    turn(m.mask_rows, kKeys, span(), (n + 3) / 4 * 4, m.mask, span());
    const int64_t lanes = int64_t(hn::Lanes(d));
    for (int64_t i = 0; i < n * span(); i += lanes) {
      const Vf x = hn::LoadU(d, m.s + i);
      hn::StoreU(hn::Add(x, hn::LoadU(d, m.mask + i)), d, m.s + i);
    }
  }

  float logarithm(int64_t g) const {
    if (blind(g) || m.top[g] == kUnseen) return kBlind;
    if (m.top[g] == -kInf) return kNan;  // scores of -inf alone: 0 / 0
    return (m.top[g] + std::log2(m.sum[g])) * kLn2;
  }
};

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
