// What the gradient of attention does in any dtype: the walk over blocks of
// queries and keys, masks, weights from the kept logarithms, results. D makes
// the products:
//   load_factors()           of a head: queries and dout
//   load_keys(j0, n)         of a block: keys and values
//   tile(t, dk, dv)          some queries against some keys
//   dq_rows(i0)              what a block of queries has summed up, as rows
#include <cmath>

#include "treadle/backend/cpu/attention_tiles-inl.h"

#if defined(TREADLE_BACKEND_CPU_ATTENTION_GRADIENT_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_ATTENTION_GRADIENT_INL_H_
#undef TREADLE_BACKEND_CPU_ATTENTION_GRADIENT_INL_H_
#else
#define TREADLE_BACKEND_CPU_ATTENTION_GRADIENT_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

// Queries of a block: two tiles, which are one where both see all keys.
int64_t block_rows() { return 2 * span(); }
int64_t blocks(const AttentionProblem& p) {
  return (p.rows + block_rows() - 1) / block_rows();
}

int64_t piece_keys(const AttentionProblem& p) {
  const int64_t blocks = (p.keys + kKeys - 1) / kKeys;
  const int64_t pieces = attention_pieces(p);
  return (blocks + pieces - 1) / pieces * kKeys;
}

struct GradientMemory {
  // Of a head, for each query.
  float *lse, *delta, *dq;
  int32_t* limit;
  float* reach;  // of each half of a block: its longest query, in base 2
  // Of a tile: weights, then cotangents of the scores.
  float *s, *ds, *mask, *mask_rows;
  float *dk, *dv, *rows;

  // `take` gives that many floats.
  template <class Take>
  void take(const AttentionProblem& p, Take&& take) {
    const bool masked = p.mask >= AttentionMask::boolean;
    const int64_t queries = blocks(p) * block_rows();
    const int64_t depth = padded(p.depth), width = padded(p.width);
    lse = take(queries);
    delta = take(queries);
    dq = take(queries * depth);
    limit = reinterpret_cast<int32_t*>(take(queries));
    reach = take(masked ? queries / span() : 0);
    s = take(kKeys * block_rows());
    ds = take(kKeys * block_rows());
    mask = take(masked ? kKeys * block_rows() : 0);
    mask_rows = take(masked ? std::max(kKeys * block_rows(), depth) : 0);
    const int64_t kept = p.heads_per_group() > 1 ? piece_keys(p) : kKeys;
    dk = take(kept * depth);
    dv = take(kept * width);
    rows = take(block_rows() * std::max(depth, width));
  }
};

// Which part of the work a task is.
struct Share {
  int64_t batch, group, first, last;  // keys [first, last)
  float* dq_part;                     // of this piece, or null
};
Share share_of(const AttentionBackward& g, int64_t task, float* dq_parts) {
  const AttentionProblem& p = g.p;
  const int64_t pieces = attention_pieces(p), place = task / pieces,
                piece = task % pieces, length = piece_keys(p);
  const int64_t first = std::min(piece * length, p.keys);
  const int64_t part = p.batches * p.heads * p.rows * p.depth;
  return {place / p.groups,
          place % p.groups,
          first,
          std::min(first + length, p.keys),
          dq_parts ? dq_parts + piece * part : nullptr};
}

// Some queries, columns [c, c + columns) of a block, against some keys.
struct Tile {
  int64_t i0, c, columns, j0, n;
  int64_t real;          // columns that are queries
  float reach;           // the longest key
  float *s, *ds, *mask;  // (keys, block_rows), from column c on
};

template <class D>
struct Gradient {
  const AttentionBackward& g;
  const AttentionProblem& p = g.p;
  int64_t batch, group, first, last;
  float* dq_part;
  GradientMemory m;
  int64_t head = 0;
  const int64_t step = block_rows();
  const int64_t depth = padded(p.depth), width = padded(p.width);

  Gradient(const AttentionBackward& gradient,
           const Share& share,
           const GradientMemory& memory)
      : g(gradient),
        batch(share.batch),
        group(share.group),
        first(share.first),
        last(share.last),
        dq_part(share.dq_part),
        m(memory) {}

  D& self() { return static_cast<D&>(*this); }

  float lse(int64_t i) const {
    return *reinterpret_cast<const float*>(g.lse.at(batch, head, i));
  }
  int64_t row_of(int64_t i) const {
    return (batch * p.heads + head) * p.rows + i;
  }

  // sum(dout out), which is what the weights' cotangents have in common.
  float delta(int64_t i) const { return dot(g.dout, g.out, i, m.rows); }
  float dot(const AttentionOperand& a,
            const AttentionOperand& b,
            int64_t i,
            float* memory) const {
    const F d;
    float *x = memory, *y = memory + width;
    load_row(a.at(batch, head, i), a.dtype, a.column, p.width, 1.0f, x);
    load_row(b.at(batch, head, i), b.dtype, b.column, p.width, 1.0f, y);
    std::fill(x + p.width, x + width, 0.0f);
    std::fill(y + p.width, y + width, 0.0f);
    Vf sum = hn::Zero(d);
    for (int64_t j = 0; j < width; j += int64_t(hn::Lanes(d)))
      sum = hn::MulAdd(hn::LoadU(d, x + j), hn::LoadU(d, y + j), sum);
    return hn::GetLane(hn::SumOfLanes(d, sum));
  }

  void load_head() {
    for (int64_t i = 0; i < blocks(p) * step; ++i) {
      const bool real = i < p.rows;
      m.limit[i] = int32_t(real ? p.limit(i) : 0);
      m.lse[i] = real ? lse(i) * kLog2e : kInf;
      m.delta[i] = real ? delta(i) : 0;
    }
    if (p.mask >= AttentionMask::boolean) {
      const float factor = std::abs(p.scale) * kLog2e;
      for (int64_t i = 0; i < p.rows; i += span()) {
        const int64_t n = std::min(span(), p.rows - i);
        m.reach[i / span()] =
            factor * longest(p.q, batch, head, i, n, p.depth, m.mask_rows);
      }
    }
    if (g.dq) std::fill(m.dq, m.dq + blocks(p) * step * depth, 0.0f);
    self().load_factors();
  }

  bool load_mask(const Tile& t, bool* adds) const {
    Range all{kInf, -kInf};
    float least = kInf;
    bool blind = false;
    for (int64_t i = 0; i < t.columns; ++i) {
      float* to = m.mask_rows + i * kKeys;
      if (i >= t.real) {
        std::fill(to, to + kKeys, 0.0f);
        continue;
      }
      const char* from =
          p.added.at(batch, head, t.i0 + i) +
          t.j0 * p.added.column * int64_t(size_of(p.added.dtype));
      const Range range = mask_row(p.added, from, t.n, to);
      all.low = std::min(all.low, range.low);
      all.high = std::max(all.high, range.high);
      blind = blind || !(m.lse[t.i0 + i] < kInf);
      least = std::min(least, m.lse[t.i0 + i]);
    }
    *adds = !(all.low == 0 && all.high == 0);
    const int64_t h = t.i0 / span();
    float reach = m.reach[h];
    if (t.columns > span() && t.real > span())
      reach = std::max(reach, m.reach[h + 1]);
    const bool none =
        all.high == -kInf || all.high + reach * t.reach < least + kTiny;
    return blind || !none;
  }

  void add_mask(const Tile& t) const {
    const F d;
    const int64_t lanes = int64_t(hn::Lanes(d));
    turn(m.mask_rows, kKeys, t.columns, (t.n + 3) / 4 * 4, t.mask, step);
    for (int64_t j = 0; j < t.n; ++j) {
      for (int64_t i = 0; i < t.columns; i += lanes) {
        float* at = t.s + j * step + i;
        const Vf x = hn::LoadU(d, t.mask + j * step + i);
        hn::StoreU(hn::Add(hn::LoadU(d, at), x), d, at);
      }
    }
  }

  // Scores times `factor` become weights p, ds the cotangents of the scores: p
  // (dp - delta).
  template <bool causal>
  void weigh(const Tile& t, float factor) const {
    const F d;
    const hn::RebindToSigned<F> di;
    const int64_t lanes = int64_t(hn::Lanes(d));
    const Vf by = hn::Set(d, factor);
    for (int64_t i = 0; i < t.columns; i += 2 * lanes) {
      const int64_t at = t.i0 + i;
      const Vf lse0 = hn::LoadU(d, m.lse + at),
               lse1 = hn::LoadU(d, m.lse + at + lanes),
               delta0 = hn::LoadU(d, m.delta + at),
               delta1 = hn::LoadU(d, m.delta + at + lanes);
      const auto limit0 = hn::LoadU(di, m.limit + at),
                 limit1 = hn::LoadU(di, m.limit + at + lanes);
      float *x = t.s + i, *y = t.ds + i;
      for (int64_t j = 0; j < t.n; ++j, x += step, y += step) {
        Vf p0 = exp2(d, hn::MulSub(hn::LoadU(d, x), by, lse0));
        Vf p1 = exp2(d, hn::MulSub(hn::LoadU(d, x + lanes), by, lse1));
        if (causal) {
          const auto key = hn::Set(di, int32_t(t.j0 + j));
          p0 = hn::IfThenElseZero(hn::RebindMask(d, hn::Gt(limit0, key)), p0);
          p1 = hn::IfThenElseZero(hn::RebindMask(d, hn::Gt(limit1, key)), p1);
        }
        hn::StoreU(p0, d, x);
        hn::StoreU(p1, d, x + lanes);
        const Vf d0 = hn::Sub(hn::LoadU(d, y), delta0),
                 d1 = hn::Sub(hn::LoadU(d, y + lanes), delta1);
        hn::StoreU(hn::Mul(p0, d0), d, y);
        hn::StoreU(hn::Mul(p1, d1), d, y + lanes);
      }
    }
  }

  // Queries that see nothing weigh all values evenly. Their scores do not
  // matter, except that an added mask lets cotangents through.
  void weigh_blind(const Tile& t) const {
    const float even = 1.0f / float(p.keys);
    for (int64_t i = 0; i < t.real; ++i) {
      if (m.lse[t.i0 + i] != kInf) continue;
      for (int64_t j = 0; j < t.n; ++j) {
        t.s[j * step + i] = even;
        t.ds[j * step + i] =
            p.mask == AttentionMask::additive
                ? even * (t.mask[j * step + i] - m.delta[t.i0 + i])
                : 0.0f;
      }
    }
  }

  bool any_blind(const Tile& t) const {
    for (int64_t i = 0; i < t.real; ++i) {
      if (m.lse[t.i0 + i] == kInf) return true;
    }
    return false;
  }

  // Weights and cotangents of a tile, from its two products.
  void weigh_tile(const Tile& t, bool adds, float factor) const {
    if (adds) add_mask(t);
    const bool blind = any_blind(t);
    if (blind && p.mask == AttentionMask::additive) {
      for (int64_t j = 0; j < t.n; ++j) {  // what weigh() writes over
        std::copy_n(t.ds + j * step, t.columns, t.mask + j * step);
      }
    }
    const auto least =
        *std::min_element(m.limit + t.i0, m.limit + t.i0 + t.real);
    if (t.j0 + t.n > least) {
      weigh<true>(t, factor);
    } else {
      weigh<false>(t, factor);
    }
    if (blind) weigh_blind(t);
  }

  // All queries of a head against a block of keys.
  void keys(int64_t j0, int64_t n, float* dk, float* dv) {
    const float reach =
        p.mask < AttentionMask::boolean
            ? 0
            : longest(p.k, batch, group, j0, n, p.depth, m.mask_rows);
    self().load_keys(j0, n);
    for (int64_t i0 = 0; i0 < p.rows; i0 += step) {
      // How many of the keys either half of the block sees.
      int64_t seen[2], real[2];
      for (int64_t h = 0; h < 2; ++h) {
        const int32_t* limit = m.limit + i0 + h * span();
        const int64_t most = *std::max_element(limit, limit + span());
        seen[h] = std::clamp<int64_t>(most - j0, 0, n);
        real[h] = std::clamp<int64_t>(p.rows - i0 - h * span(), 0, span());
      }
      const bool both = seen[0] == seen[1];
      for (int64_t h = 0; h < (both ? 1 : 2); ++h) {
        if (seen[h] == 0 || real[h] == 0) continue;
        const int64_t c = h * span();
        self().tile({i0 + c,
                     c,
                     both ? step : span(),
                     j0,
                     seen[h],
                     both ? real[0] + real[1] : real[h],
                     reach,
                     m.s + c,
                     m.ds + c,
                     m.mask},
                    dk,
                    dv);
      }
    }
  }

  void store_keys(int64_t j0,
                  int64_t n,
                  const float* dk,
                  const float* dv) const {
    const int64_t at = (batch * p.groups + group) * p.keys + j0;
    for (int64_t j = 0; j < n; ++j) {
      if (g.dk) {
        store_row(dk + j * depth,
                  p.depth,
                  p.scale,
                  p.dtype,
                  g.dk + (at + j) * p.depth * int64_t(size_of(p.dtype)));
      }
      if (g.dv) {
        store_row(dv + j * width,
                  p.width,
                  1,
                  p.dtype,
                  g.dv + (at + j) * p.width * int64_t(size_of(p.dtype)));
      }
    }
  }

  void store_queries() {
    for (int64_t i = 0; i < p.rows; ++i) {
      const int64_t i0 = i / step * step;
      const float* dq = self().dq_rows(i0) + (i - i0) * depth;
      if (dq_part) {
        std::copy_n(dq, p.depth, dq_part + row_of(i) * p.depth);
      } else {
        store_row(dq,
                  p.depth,
                  p.scale,
                  p.dtype,
                  g.dq + row_of(i) * p.depth * int64_t(size_of(p.dtype)));
      }
    }
  }

  void run() {
    const int64_t heads = p.heads_per_group();
    // Whole blocks: products of pairs write whole tiles.
    if (heads > 1) {
      const int64_t rows = (last - first + kKeys - 1) / kKeys * kKeys;
      std::fill(m.dk, m.dk + rows * depth, 0.0f);
      std::fill(m.dv, m.dv + rows * width, 0.0f);
    }
    for (int64_t h = 0; h < heads; ++h) {
      head = group * heads + h;
      load_head();
      for (int64_t j0 = first; j0 < last; j0 += kKeys) {
        const int64_t n = std::min(kKeys, last - j0);
        const int64_t at = heads > 1 ? j0 - first : 0;
        float *dk = m.dk + at * depth, *dv = m.dv + at * width;
        if (heads == 1) {
          std::fill(dk, dk + kKeys * depth, 0.0f);
          std::fill(dv, dv + kKeys * width, 0.0f);
        }
        keys(j0, n, dk, dv);
        if (h + 1 == heads) store_keys(j0, n, dk, dv);
      }
      if (g.dq) store_queries();
    }
  }
};

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
