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

#include "treadle/backend/cpu/attention_tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

// Queries of a block: two tiles, which are one where both see all keys.
int64_t block_rows() { return 2 * span(); }
int64_t blocks(const AttentionProblem& p) {
  return (p.rows + block_rows() - 1) / block_rows();
}

struct Scratch {
  // Of a head: queries and dout turned around, (depth, block_rows) for each
  // block, and as rows where they cannot be read in place.
  float *q, *dout, *q_rows, *dout_rows, *lse, *delta, *dq;
  int32_t* limit;
  // Of a tile: weights, then cotangents of the scores.
  float *s, *ds, *mask, *mask_rows;
  float* reach;  // of each half of a block: its longest query, in base 2
  float *k, *v, *dk, *dv, *rows;
};

int64_t piece_keys(const AttentionProblem& p) {
  const int64_t blocks = (p.keys + kKeys - 1) / kKeys;
  const int64_t pieces = attention_pieces(p);
  return (blocks + pieces - 1) / pieces * kKeys;
}

int64_t scratch(const AttentionProblem& p, Scratch* s, char* at) {
  int64_t used = 0;
  auto take = [&](int64_t n) {
    float* here = at ? reinterpret_cast<float*>(at + used) : nullptr;
    used += (n * 4 + 63) / 64 * 64;
    return here;
  };
  const bool masked = p.mask >= AttentionMask::boolean;
  const int64_t rows = blocks(p) * block_rows();
  const int64_t depth = padded(p.depth), width = padded(p.width);
  s->q = take(rows * p.depth);
  s->dout = take(rows * p.width);
  s->q_rows = take(rows * depth);
  s->dout_rows = take(rows * width);
  s->lse = take(rows);
  s->delta = take(rows);
  s->limit = reinterpret_cast<int32_t*>(take(rows));
  s->dq = take(rows * depth);
  s->s = take(kKeys * block_rows());
  s->ds = take(kKeys * block_rows());
  s->mask = take(masked ? kKeys * block_rows() : 0);
  s->mask_rows = take(masked ? std::max(kKeys * block_rows(), depth) : 0);
  s->reach = take(masked ? rows / span() : 0);
  s->k = take(kKeys * depth);
  s->v = take(kKeys * width);
  const int64_t kept = p.heads_per_group() > 1 ? piece_keys(p) : kKeys;
  s->dk = take(kept * depth);
  s->dv = take(kept * width);
  s->rows = take(block_rows() * std::max(depth, width));
  return used;
}

struct Task {
  const AttentionBackward& g;
  const AttentionProblem& p;
  int64_t batch, group, first, last;  // keys [first, last)
  float* dq_part;                     // of this piece, or null
  Scratch s;
  int64_t head = 0;
  Rows q_rows{}, dout_rows{};
  const int64_t step = block_rows();
  const int64_t depth = padded(p.depth), width = padded(p.width);

  float lse(int64_t i) const {
    return *reinterpret_cast<const float*>(g.lse.at(batch, head, i));
  }
  int64_t row_of(int64_t i) const {
    return (batch * p.heads + head) * p.rows + i;
  }

  // A block of queries, or of dout, turned around.
  void turn_block(const AttentionOperand& x,
                  int64_t columns,
                  float scale,
                  int64_t i0,
                  float* to) const {
    const int64_t row = padded(columns), whole = columns / 4 * 4;
    for (int64_t i = 0; i < step; ++i) {
      float* r = s.rows + i * row;
      if (i0 + i < p.rows) {
        load_row(
            x.at(batch, head, i0 + i), x.dtype, x.column, columns, scale, r);
      } else {
        std::fill(r, r + row, 0.0f);
      }
    }
    turn(s.rows, row, step, whole, to, step);
    for (int64_t j = whole; j < columns; ++j) {
      for (int64_t i = 0; i < step; ++i) to[j * step + i] = s.rows[i * row + j];
    }
  }

  // sum(dout out), which is what the weights' cotangents have in common.
  float delta(int64_t i) const { return dot(g.dout, g.out, i, s.rows); }
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
    for (int64_t i0 = 0; i0 < p.rows; i0 += step) {
      turn_block(p.q, p.depth, p.scale * kLog2e, i0, s.q + i0 * p.depth);
      turn_block(g.dout, p.width, 1, i0, s.dout + i0 * p.width);
      for (int64_t i = i0; i < i0 + step; ++i) {
        const bool real = i < p.rows;
        const int64_t seen = real ? p.seen(i) : 0;
        s.limit[i] =
            int32_t(real ? seen <= 0 ? p.keys : std::min(seen, p.keys) : 0);
        s.lse[i] = real ? lse(i) * kLog2e : kInf;
        s.delta[i] = real ? delta(i) : 0;
      }
    }
    if (p.mask >= AttentionMask::boolean) {
      const float factor = std::abs(p.scale) * kLog2e;
      for (int64_t i = 0; i < p.rows; i += span()) {
        const int64_t n = std::min(span(), p.rows - i);
        s.reach[i / span()] =
            factor * longest(p.q, batch, head, i, n, p.depth, s.mask_rows);
      }
    }
    q_rows = rows_of(p.q, batch, head, 0, p.rows, p.depth, s.q_rows);
    dout_rows = rows_of(g.dout, batch, head, 0, p.rows, p.width, s.dout_rows);
    if (g.dq) std::fill(s.dq, s.dq + blocks(p) * step * depth, 0.0f);
  }

  // Some queries against some keys: columns [c0, c0 + columns) of a block.
  struct Tile {
    int64_t i0, columns, j0, n;
    int64_t real;  // columns that are queries
    float reach;   // the longest key
    float *s, *ds, *mask;
    const float *q, *dout;
  };

  bool load_mask(const Tile& t, bool* adds) const {
    Range all{kInf, -kInf};
    float least = kInf;
    bool blind = false;
    for (int64_t i = 0; i < t.columns; ++i) {
      float* to = s.mask_rows + i * kKeys;
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
      blind = blind || !(s.lse[t.i0 + i] < kInf);
      least = std::min(least, s.lse[t.i0 + i]);
    }
    *adds = !(all.low == 0 && all.high == 0);
    const int64_t h = t.i0 / span();
    float reach = s.reach[h];
    if (t.columns > span() && t.real > span())
      reach = std::max(reach, s.reach[h + 1]);
    const bool none =
        all.high == -kInf || all.high + reach * t.reach < least + kTiny;
    return blind || !none;
  }

  void add_mask(const Tile& t) const {
    const F d;
    const int64_t lanes = int64_t(hn::Lanes(d));
    turn(s.mask_rows, kKeys, t.columns, (t.n + 3) / 4 * 4, t.mask, step);
    for (int64_t j = 0; j < t.n; ++j) {
      for (int64_t i = 0; i < t.columns; i += lanes) {
        float* at = t.s + j * step + i;
        const Vf m = hn::LoadU(d, t.mask + j * step + i);
        hn::StoreU(hn::Add(hn::LoadU(d, at), m), d, at);
      }
    }
  }

  // Scores become weights p, ds the cotangents of the scores: p (dp - delta).
  template <bool causal>
  void weigh(const Tile& t) const {
    const F d;
    const hn::RebindToSigned<F> di;
    const int64_t lanes = int64_t(hn::Lanes(d));
    for (int64_t i = 0; i < t.columns; i += 2 * lanes) {
      const int64_t at = t.i0 + i;
      const Vf lse0 = hn::LoadU(d, s.lse + at),
               lse1 = hn::LoadU(d, s.lse + at + lanes),
               delta0 = hn::LoadU(d, s.delta + at),
               delta1 = hn::LoadU(d, s.delta + at + lanes);
      const auto limit0 = hn::LoadU(di, s.limit + at),
                 limit1 = hn::LoadU(di, s.limit + at + lanes);
      float *x = t.s + i, *y = t.ds + i;
      for (int64_t j = 0; j < t.n; ++j, x += step, y += step) {
        Vf p0 = exp2(d, hn::Sub(hn::LoadU(d, x), lse0));
        Vf p1 = exp2(d, hn::Sub(hn::LoadU(d, x + lanes), lse1));
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
      if (s.lse[t.i0 + i] != kInf) continue;
      for (int64_t j = 0; j < t.n; ++j) {
        t.s[j * step + i] = even;
        t.ds[j * step + i] =
            p.mask == AttentionMask::additive
                ? even * (t.mask[j * step + i] - s.delta[t.i0 + i])
                : 0.0f;
      }
    }
  }

  bool any_blind(const Tile& t) const {
    for (int64_t i = 0; i < t.real; ++i) {
      if (s.lse[t.i0 + i] == kInf) return true;
    }
    return false;
  }

  void tile(
      const Tile& t, const Rows& k, const Rows& v, float* dk, float* dv) const {
    bool adds = false;
    if (p.mask >= AttentionMask::boolean && !load_mask(t, &adds)) return;
    multiply({k.data, k.step, 1, t.q, step, t.s, step, t.n, t.columns, p.depth},
             false);
    multiply(
        {v.data, v.step, 1, t.dout, step, t.ds, step, t.n, t.columns, p.width},
        false);
    if (adds) add_mask(t);
    const bool blind = any_blind(t);
    if (blind && p.mask == AttentionMask::additive) {
      for (int64_t j = 0; j < t.n; ++j) {  // what weigh() writes over
        std::copy_n(t.ds + j * step, t.columns, t.mask + j * step);
      }
    }
    const auto least =
        *std::min_element(s.limit + t.i0, s.limit + t.i0 + t.real);
    if (t.j0 + t.n > least) {
      weigh<true>(t);
    } else {
      weigh<false>(t);
    }
    if (blind) weigh_blind(t);
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
                s.dq + t.i0 * depth,
                depth,
                t.real,
                depth,
                t.n},
               true);
    }
  }

  // All queries of a head against a block of keys.
  void keys(int64_t j0, int64_t n, float* dk, float* dv) const {
    const float reach =
        p.mask < AttentionMask::boolean
            ? 0
            : longest(p.k, batch, group, j0, n, p.depth, s.mask_rows);
    const Rows k = rows_of(p.k, batch, group, j0, n, p.depth, s.k);
    const Rows v = rows_of(p.v, batch, group, j0, n, p.width, s.v);
    for (int64_t i0 = 0; i0 < p.rows; i0 += step) {
      // How many of the keys either half of the block sees.
      int64_t seen[2], real[2];
      for (int64_t h = 0; h < 2; ++h) {
        const int32_t* limit = s.limit + i0 + h * span();
        const int64_t most = *std::max_element(limit, limit + span());
        seen[h] = std::clamp<int64_t>(most - j0, 0, n);
        real[h] = std::clamp<int64_t>(p.rows - i0 - h * span(), 0, span());
      }
      const bool both = seen[0] == seen[1];
      for (int64_t h = 0; h < (both ? 1 : 2); ++h) {
        if (seen[h] == 0 || real[h] == 0) continue;
        const int64_t c = h * span();
        tile({i0 + c,
              both ? step : span(),
              j0,
              seen[h],
              both ? real[0] + real[1] : real[h],
              reach,
              s.s + c,
              s.ds + c,
              s.mask,
              s.q + i0 * p.depth + c,
              s.dout + i0 * p.width + c},
             k,
             v,
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

  void store_queries() const {
    for (int64_t i = 0; i < p.rows; ++i) {
      if (dq_part) {
        std::copy_n(s.dq + i * depth, p.depth, dq_part + row_of(i) * p.depth);
      } else {
        store_row(s.dq + i * depth,
                  p.depth,
                  p.scale,
                  p.dtype,
                  g.dq + row_of(i) * p.depth * int64_t(size_of(p.dtype)));
      }
    }
  }

  void run() {
    const int64_t heads = p.heads_per_group();
    if (heads > 1) {
      std::fill(s.dk, s.dk + (last - first) * depth, 0.0f);
      std::fill(s.dv, s.dv + (last - first) * width, 0.0f);
    }
    for (int64_t h = 0; h < heads; ++h) {
      head = group * heads + h;
      load_head();
      for (int64_t j0 = first; j0 < last; j0 += kKeys) {
        const int64_t n = std::min(kKeys, last - j0);
        const int64_t at = heads > 1 ? j0 - first : 0;
        float *dk = s.dk + at * depth, *dv = s.dv + at * width;
        if (heads == 1) {
          std::fill(dk, dk + n * depth, 0.0f);
          std::fill(dv, dv + n * width, 0.0f);
        }
        keys(j0, n, dk, dv);
        if (h + 1 == heads) store_keys(j0, n, dk, dv);
      }
      if (g.dq) store_queries();
    }
  }
};

int64_t scratch_bytes(const AttentionProblem& p) {
  Scratch s;
  return scratch(p, &s, nullptr);
}

void run(const AttentionBackward& g,
         int64_t task,
         char* memory,
         float* dq_parts) {
  const AttentionProblem& p = g.p;
  const int64_t pieces = attention_pieces(p), place = task / pieces,
                piece = task % pieces, length = piece_keys(p);
  const int64_t first = std::min(piece * length, p.keys);
  const int64_t last = std::min(first + length, p.keys);
  const int64_t part = p.batches * p.heads * p.rows * p.depth;
  Task t{g,
         p,
         place / p.groups,
         place % p.groups,
         first,
         last,
         dq_parts ? dq_parts + piece * part : nullptr,
         {}};
  scratch(p, &t.s, memory);
  t.run();
}

// The cotangent of a head's sink: minus the sum of weight times delta.
float sink(const AttentionBackward& g, int64_t head) {
  const AttentionProblem& p = g.p;
  std::vector<float> memory(size_t(2 * padded(p.width)));
  Task t{g, p, 0, 0, 0, 0, nullptr, {}};
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
