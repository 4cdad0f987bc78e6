// The gradient of attention in bfloat16, by products of pairs. Weights and
// cotangents of the scores are rounded to bfloat16 as left factors (keys as
// rows) and, two keys together, as right ones; so dk and dv sum over queries
// and dq, turned around, over keys, and no tile is turned around.
#include "treadle/backend/cpu/attention_problem.h"
#include "treadle/backend/cpu/bf16_product.h"
#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/attention_backward_pairs.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "treadle/backend/cpu/attention_gradient-inl.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

struct Scratch {
  GradientMemory gradient;
  // Of a head. Pairs of features turned around, (features / 2, block_rows) for
  // each block, and pairs of rows, (rows / 2, features).
  uint32_t *q, *dout, *q_pairs, *dout_pairs;
  // Of a block of keys: rows of whole tiles, and k turned around.
  uint16_t *k, *v, *k_turned;
  uint32_t* pairs;  // of rows that are being turned around
  // Of a tile: weights and cotangents as rows, cotangents as pairs of rows.
  uint16_t *weights, *ds;
  uint32_t* ds_pairs;
};

int64_t scratch(const AttentionProblem& p, Scratch* s, char* at) {
  int64_t used = 0;
  auto take = [&](int64_t n) {
    float* here = at ? reinterpret_cast<float*>(at + used) : nullptr;
    used += (n * 4 + 63) / 64 * 64;
    return here;
  };
  auto words = [&](int64_t n) { return reinterpret_cast<uint32_t*>(take(n)); };
  auto halves = [&](int64_t n) {
    return reinterpret_cast<uint16_t*>(take((n + 1) / 2));
  };
  const int64_t rows = blocks(p) * block_rows();
  const int64_t depth = padded(p.depth), width = padded(p.width);
  s->gradient.take(p, take);
  s->q = words(rows * up(p.depth, 32) / 2);
  s->dout = words(rows * up(p.width, 32) / 2);
  s->q_pairs = words(rows / 2 * depth);
  s->dout_pairs = words(rows / 2 * width);
  s->k = halves(kKeys * up(p.depth, 32));
  s->v = halves(kKeys * up(p.width, 32));
  s->k_turned = halves(kKeys * depth);
  s->pairs =
      words(std::max(kKeys / 2 * depth,
                     block_rows() * up(std::max(p.depth, p.width), 32) / 2));
  s->weights = halves(kKeys * block_rows());
  s->ds = halves(kKeys * block_rows());
  s->ds_pairs = words(kKeys / 2 * block_rows());
  return used;
}

float* floats(uint32_t* x) { return reinterpret_cast<float*>(x); }

struct Task : Gradient<Task> {
  Scratch s;
  const Bf16Scope& product;
  const uint16_t *k = nullptr, *v = nullptr;
  int64_t k_step = 0, v_step = 0;
  const int64_t depth32 = up(p.depth, 32), width32 = up(p.width, 32);
  const float factor = p.scale * kLog2e;

  Task(const AttentionBackward& gradient,
       const Share& share,
       const Scratch& scratch,
       const Bf16Scope& scope)
      : Gradient(gradient, share, scratch.gradient),
        s(scratch),
        product(scope) {}

  static const uint16_t* row_at(const AttentionOperand& x,
                                int64_t b,
                                int64_t h,
                                int64_t i) {
    return reinterpret_cast<const uint16_t*>(x.at(b, h, i));
  }

  // Rows of `padded` elements, zeros after the columns and after the rows.
  void copy_rows(const AttentionOperand& x,
                 int64_t h,
                 int64_t i0,
                 int64_t n,
                 int64_t all,
                 int64_t columns,
                 int64_t row,
                 uint16_t* to) const {
    for (int64_t i = 0; i < all; ++i, to += row) {
      std::fill(to, to + row, uint16_t(0));
      if (i >= n) continue;
      const uint16_t* from = row_at(x, batch, h, i0 + i);
      for (int64_t j = 0; x.column != 1 && j < columns; ++j)
        to[j] = from[j * x.column];
      if (x.column == 1) std::copy_n(from, columns, to);
    }
  }

  // Row r of `to` holds rows 2r and 2r + 1.
  void pair_rows(const uint16_t* from,
                 int64_t from_row,
                 int64_t rows,
                 int64_t columns,
                 uint32_t* to) const {
    const hn::ScalableTag<uint32_t> d;
    const hn::Rebind<uint16_t, decltype(d)> half;
    for (int64_t i = 0; i < rows; i += 2, to += columns) {
      const uint16_t *a = from + i * from_row, *b = a + from_row;
      for (int64_t c = 0; c < columns; c += int64_t(hn::Lanes(d))) {
        const auto low = hn::PromoteTo(d, hn::LoadU(half, a + c));
        const auto high = hn::PromoteTo(d, hn::LoadU(half, b + c));
        hn::StoreU(hn::Or(low, hn::ShiftLeft<16>(high)), d, to + c);
      }
    }
  }

  void load_factor(const AttentionOperand& x,
                   int64_t columns,
                   uint32_t* turned,
                   uint32_t* pairs) const {
    const int64_t row = up(columns, 32);
    auto* rows = reinterpret_cast<uint16_t*>(s.pairs);
    for (int64_t i0 = 0; i0 < p.rows; i0 += step) {
      const int64_t n = std::min(step, p.rows - i0);
      copy_rows(x, head, i0, n, step, columns, row, rows);
      turn(floats(s.pairs),
           row / 2,
           step,
           row / 2,
           floats(turned + i0 * row / 2),
           step);
      pair_rows(
          rows, row, step, padded(columns), pairs + i0 / 2 * padded(columns));
    }
  }

  void load_factors() {
    load_factor(p.q, p.depth, s.q, s.q_pairs);
    load_factor(g.dout, p.width, s.dout, s.dout_pairs);
  }

  const uint16_t* rows_in_tiles(const AttentionOperand& x,
                                int64_t j0,
                                int64_t n,
                                int64_t columns,
                                uint16_t* copy,
                                int64_t* row) const {
    if (columns % 32 == 0 && n % 16 == 0) {
      *row = x.row;
      return row_at(x, batch, group, j0);
    }
    *row = up(columns, 32);
    copy_rows(x, group, j0, n, up(n, 16), columns, *row, copy);
    return copy;
  }

  void load_keys(int64_t j0, int64_t n) {
    // Pairs of keys, turned around: (depth, kKeys).
    copy_rows(p.k, group, j0, n, kKeys, p.depth, depth32, s.k);
    pair_rows(s.k, depth32, kKeys, depth, s.pairs);
    turn(floats(s.pairs),
         depth,
         kKeys / 2,
         depth,
         reinterpret_cast<float*>(s.k_turned),
         kKeys / 2);
    k = rows_in_tiles(p.k, j0, n, p.depth, s.k, &k_step);
    v = rows_in_tiles(p.v, j0, n, p.width, s.v, &v_step);
  }

  // Weights and cotangents of a tile in bfloat16; zeros for the keys up to a
  // whole number of tiles.
  void round(const Tile& t) const {
    const F d;
    const hn::RebindToUnsigned<F> du;
    const hn::Rebind<uint16_t, F> dh;
    const auto half = hn::Set(du, 0x8000u), high = hn::Set(du, 0xffff0000u);
    const int64_t all = up(t.n, 32);
    auto bits = [&](const float* x, int64_t j) HWY_ATTR {
      const auto u = hn::BitCast(du, hn::LoadU(d, x));
      return j < t.n ? hn::Add(u, half) : hn::Zero(du);
    };
    for (int64_t j = 0; j < all; j += 2) {
      for (int64_t i = 0; i < t.columns; i += int64_t(hn::Lanes(d))) {
        const int64_t at = j * step + i;
        const auto w0 = bits(t.s + at, j), w1 = bits(t.s + at + step, j + 1);
        uint16_t* w = s.weights + at;
        hn::StoreU(hn::TruncateTo(dh, hn::ShiftRight<16>(w0)), dh, w);
        hn::StoreU(hn::TruncateTo(dh, hn::ShiftRight<16>(w1)), dh, w + step);
        const auto d0 = bits(t.ds + at, j), d1 = bits(t.ds + at + step, j + 1);
        const auto low = hn::ShiftRight<16>(d0);
        uint16_t* x = s.ds + at;
        hn::StoreU(hn::TruncateTo(dh, low), dh, x);
        hn::StoreU(hn::TruncateTo(dh, hn::ShiftRight<16>(d1)), dh, x + step);
        hn::StoreU(
            hn::Or(low, hn::And(d1, high)), du, s.ds_pairs + j / 2 * step + i);
      }
    }
  }

  void scale(const Tile& t) const {
    const F d;
    const Vf by = hn::Set(d, factor);
    for (int64_t j = 0; j < t.n; ++j) {
      for (int64_t i = 0; i < t.columns; i += int64_t(hn::Lanes(d))) {
        float* at = t.s + j * step + i;
        hn::StoreU(hn::Mul(hn::LoadU(d, at), by), d, at);
      }
    }
  }

  void tile(const Tile& t, float* dk, float* dv) const {
    bool adds = false;
    if (p.mask >= AttentionMask::boolean && !load_mask(t, &adds)) return;
    const int64_t block = t.i0 - t.c, rows = up(t.n, 16);
    const uint32_t* q = s.q + block * depth32 / 2 + t.c;
    const uint32_t* dout = s.dout + block * width32 / 2 + t.c;
    product.multiply({k, k_step, q, step, t.s, step, rows, t.columns, depth32},
                     false);
    product.multiply(
        {v, v_step, dout, step, t.ds, step, rows, t.columns, width32}, false);
    if (adds) scale(t);
    weigh_tile(t, adds, adds ? 1.0f : factor);
    round(t);
    if (g.dv) {
      const uint32_t* b = s.dout_pairs + t.i0 / 2 * width;
      product.multiply(
          {s.weights, step, b, width, dv, width, rows, width, t.columns}, true);
    }
    if (g.dk) {
      const uint32_t* b = s.q_pairs + t.i0 / 2 * depth;
      product.multiply(
          {s.ds, step, b, depth, dk, depth, rows, depth, t.columns}, true);
    }
    if (g.dq) {
      product.multiply({s.k_turned,
                        kKeys,
                        s.ds_pairs,
                        step,
                        m.dq + block * depth + t.c,
                        step,
                        depth,
                        t.columns,
                        up(t.n, 32)},
                       true);
    }
  }

  // Kept turned around, (depth, block_rows) for each block.
  int64_t turned = -1;
  const float* dq_rows(int64_t i0) {
    if (turned != head * p.rows + i0) {
      turn(m.dq + i0 * depth, step, depth, step, m.rows, depth);
      turned = head * p.rows + i0;
    }
    return m.rows;
  }
};

bool takes_pairs(const AttentionBackward& g) {
  const AttentionProblem& p = g.p;
  return p.dtype == bfloat16 && hn::Lanes(F()) == 16 && p.k.column == 1 &&
         p.v.column == 1 && p.depth >= 16 && p.width >= 16 &&
         has_bf16_product();
}

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
  const Bf16Scope scope;
  Task(g, share_of(g, task, dq_parts), s, scope).run();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace treadle::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(takes_pairs);
HWY_EXPORT(scratch_bytes);
HWY_EXPORT(run);

bool attention_backward_takes_pairs(const AttentionBackward& g) {
  return HWY_DYNAMIC_DISPATCH(takes_pairs)(g);
}
int64_t attention_backward_pair_scratch(const AttentionProblem& p) {
  return HWY_DYNAMIC_DISPATCH(scratch_bytes)(p);
}
void attention_backward_pair_task(const AttentionBackward& g,
                                  int64_t task,
                                  char* scratch,
                                  float* dq_parts) {
  HWY_DYNAMIC_DISPATCH(run)(g, task, scratch, dq_parts);
}

}  // namespace treadle::backend::cpu
#endif
