// What the attention kernels share: a product of small blocks, a block turned
// around, masks, and 2^x.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "treadle/backend/cpu/attention_problem.h"
#include "treadle/backend/cpu/float_rows-inl.h"

#if defined(TREADLE_BACKEND_CPU_ATTENTION_TILES_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_ATTENTION_TILES_INL_H_
#undef TREADLE_BACKEND_CPU_ATTENTION_TILES_INL_H_
#else
#define TREADLE_BACKEND_CPU_ATTENTION_TILES_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

// Rows of c that are held in registers, two vectors of each.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int kRows = 8;
#else
constexpr int kRows = 4;
#endif

// Queries of a tile: two vectors. Keys of a tile.
HWY_INLINE int64_t span() { return 2 * int64_t(hn::Lanes(F())); }
constexpr int64_t kKeys = 64;

HWY_INLINE int64_t padded(int64_t n) {
  const int64_t lanes = int64_t(hn::Lanes(F()));
  return (n + lanes - 1) / lanes * lanes;
}

// A product c (m, n) of a (m, depth) and b (depth, n). n is padded to whole
// vectors, and so are the rows of b and c.
struct Product {
  const float* a;
  int64_t a_row, a_step;
  const float* b;
  int64_t b_row;
  float* c;
  int64_t c_row;
  int64_t m, n, depth;
};

template <int R, int V>
HWY_INLINE void block(const Product& p, int64_t i, int64_t j, bool add) {
  const F d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  Vf sum[R][V];
  float* const c = p.c + i * p.c_row + j;
  TREADLE_UNROLL for (int r = 0; r < R; ++r) {
    TREADLE_UNROLL for (int v = 0; v < V; ++v) {
      sum[r][v] = add ? hn::LoadU(d, c + r * p.c_row + v * lanes) : hn::Zero(d);
    }
  }
  const float* a = p.a + i * p.a_row;
  const float* b = p.b + j;
  for (int64_t k = 0; k < p.depth; ++k, a += p.a_step, b += p.b_row) {
    Vf row[V];
    TREADLE_UNROLL for (int v = 0; v < V; ++v) {
      row[v] = hn::LoadU(d, b + v * lanes);
    }
    TREADLE_UNROLL for (int r = 0; r < R; ++r) {
      const Vf x = hn::Set(d, a[r * p.a_row]);
      TREADLE_UNROLL for (int v = 0; v < V; ++v) {
        sum[r][v] = hn::MulAdd(x, row[v], sum[r][v]);
      }
    }
  }
  TREADLE_UNROLL for (int r = 0; r < R; ++r) {
    TREADLE_UNROLL for (int v = 0; v < V; ++v) {
      hn::StoreU(sum[r][v], d, c + r * p.c_row + v * lanes);
    }
  }
}

template <int V>
HWY_INLINE void columns(const Product& p, int64_t j, bool add) {
  int64_t i = 0;
  for (; i + kRows <= p.m; i += kRows) block<kRows, V>(p, i, j, add);
  if constexpr (kRows == 8) {
    if (i + 4 <= p.m) {
      block<4, V>(p, i, j, add);
      i += 4;
    }
  }
  if (i + 2 <= p.m) {
    block<2, V>(p, i, j, add);
    i += 2;
  }
  if (i < p.m) block<1, V>(p, i, j, add);
}

[[maybe_unused]] HWY_NOINLINE void multiply(const Product& p, bool add) {
  const int64_t lanes = int64_t(hn::Lanes(F()));
  int64_t j = 0;
  for (; j + 2 * lanes <= p.n; j += 2 * lanes) columns<2>(p, j, add);
  if (j < p.n) columns<1>(p, j, add);
}

// 2^x with an error below 1 unit for x < 128; 0 for all x below kTiny, which
// weighs nothing beside 1 and whose products would be slow subnormals. NaN
// stays.
constexpr float kTiny = -100.0f;
HWY_INLINE Vf exp2(F d, Vf x) {
  const hn::RebindToSigned<F> di;
  // 1.5 * 2^23: a number that is added to it is rounded to an integer, which
  // then lies in the lowest bits.
  const Vf magic = hn::Set(d, 12582912.0f);
  const Vf shifted = hn::Add(x, magic);
  const Vf f = hn::Sub(x, hn::Sub(shifted, magic));
  // Minimax for 2^f on [-0.5, 0.5], relative.
  Vf y = hn::Set(d, 1.5345812e-4f);
  y = hn::MulAdd(y, f, hn::Set(d, 1.3399931e-3f));
  y = hn::MulAdd(y, f, hn::Set(d, 9.618489e-3f));
  y = hn::MulAdd(y, f, hn::Set(d, 5.5503286e-2f));
  y = hn::MulAdd(y, f, hn::Set(d, 2.4022646e-1f));
  y = hn::MulAdd(y, f, hn::Set(d, 6.931472e-1f));
  y = hn::MulAdd(y, f, hn::Set(d, 1.0f));
  const auto bits = hn::BitCast(di, y);
  const Vf power = hn::BitCast(
      d, hn::Add(bits, hn::ShiftLeft<23>(hn::BitCast(di, shifted))));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, kTiny)), power);
}

// to[j][i] = from[i][j]; rows and columns are multiples of 4.
HWY_INLINE void turn(const float* from,
                     int64_t from_row,
                     int64_t rows,
                     int64_t columns,
                     float* to,
                     int64_t to_row) {
  const hn::Full128<float> d;
  const hn::Full128<double> dd;
  for (int64_t i = 0; i < rows; i += 4) {
    const float* x = from + i * from_row;
    float* y = to + i;
    for (int64_t j = 0; j < columns; j += 4) {
      const auto a = hn::LoadU(d, x + j), b = hn::LoadU(d, x + from_row + j),
                 c = hn::LoadU(d, x + 2 * from_row + j),
                 e = hn::LoadU(d, x + 3 * from_row + j);
      const auto ab0 = hn::BitCast(dd, hn::InterleaveLower(d, a, b)),
                 ab1 = hn::BitCast(dd, hn::InterleaveUpper(d, a, b)),
                 ce0 = hn::BitCast(dd, hn::InterleaveLower(d, c, e)),
                 ce1 = hn::BitCast(dd, hn::InterleaveUpper(d, c, e));
      float* z = y + j * to_row;
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dd, ab0, ce0)), d, z);
      hn::StoreU(
          hn::BitCast(d, hn::InterleaveUpper(dd, ab0, ce0)), d, z + to_row);
      hn::StoreU(
          hn::BitCast(d, hn::InterleaveLower(dd, ab1, ce1)), d, z + 2 * to_row);
      hn::StoreU(
          hn::BitCast(d, hn::InterleaveUpper(dd, ab1, ce1)), d, z + 3 * to_row);
    }
  }
}

// Rows of an operand as float32, read where they are or from a copy with padded
// rows of zeros at the end.
struct Rows {
  const float* data;
  int64_t step;
};
HWY_INLINE bool reads_in_place(const AttentionOperand& x, int64_t columns) {
  // Rows that lie a power of two apart would share few sets of the cache.
  return x.dtype == float32 && x.column == 1 && columns == padded(columns) &&
         x.row * 4 % 1024 != 0;
}
HWY_INLINE Rows rows_of(const AttentionOperand& x,
                        int64_t b,
                        int64_t h,
                        int64_t first,
                        int64_t n,
                        int64_t columns,
                        float* copy) {
  const char* from = x.at(b, h, first);
  if (reads_in_place(x, columns)) {
    return {reinterpret_cast<const float*>(from), x.row};
  }
  const int64_t step = padded(columns);
  const int64_t row = x.row * int64_t(size_of(x.dtype));
  for (int64_t i = 0; i < n; ++i) {
    float* to = copy + i * step;
    load_row(from + i * row, x.dtype, x.column, columns, 1, to);
    std::fill(to + columns, to + step, 0.0f);
  }
  return {copy, step};
}

// The mask of a tile ------------------------------------------------------

constexpr float kLog2e = 1.44269504088896341f;
constexpr float kLn2 = 0.693147180559945309f;
constexpr float kUnseen = std::numeric_limits<float>::lowest();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Range {
  float low, high;
};

// The mask's numbers for one query, to be added to scores in base 2: 0 or
// kUnseen for booleans. Fills up to a multiple of 4 with zeros.
HWY_INLINE Range mask_row(const AttentionOperand& x,
                          const char* from,
                          int64_t n,
                          float* to) {
  const F d;
  const hn::RebindToUnsigned<F> du;
  const hn::Rebind<uint8_t, F> d8;
  const int64_t lanes = int64_t(hn::Lanes(d));
  const Vf unseen = hn::Set(d, kUnseen);
  int64_t j = 0;
  if (x.dtype == bool_) {
    const auto* m = reinterpret_cast<const uint8_t*>(from);
    for (; x.column == 1 && j + lanes <= n; j += lanes) {
      const auto seen = hn::PromoteTo(du, hn::LoadU(d8, m + j));
      const auto out = hn::RebindMask(d, hn::Eq(seen, hn::Zero(du)));
      hn::StoreU(hn::IfThenElseZero(out, unseen), d, to + j);
    }
    for (; j < n; ++j) to[j] = m[j * x.column] ? 0.0f : kUnseen;
  } else {
    load_row(from, x.dtype, x.column, n, 1.0f, to);
    // The lowest number stays finite in base 2, -inf stays what it is.
    for (; j + lanes <= n; j += lanes) {
      const Vf v = hn::LoadU(d, to + j);
      const Vf scaled = hn::Max(unseen, hn::Mul(v, hn::Set(d, kLog2e)));
      hn::StoreU(
          hn::IfThenElse(hn::Eq(v, hn::Set(d, -kInf)), v, scaled), d, to + j);
    }
    for (; j < n; ++j) {
      const float scaled = to[j] * kLog2e;
      if (to[j] != -kInf) to[j] = scaled < kUnseen ? kUnseen : scaled;
    }
  }
  Vf low = hn::Set(d, kInf), high = hn::Set(d, -kInf);
  for (j = 0; j + lanes <= n; j += lanes) {
    const Vf v = hn::LoadU(d, to + j);
    low = hn::Min(low, v);
    high = hn::Max(high, v);
  }
  Range r{hn::GetLane(hn::MinOfLanes(d, low)),
          hn::GetLane(hn::MaxOfLanes(d, high))};
  for (; j < n; ++j) {
    r.low = std::min(r.low, to[j]);
    r.high = std::max(r.high, to[j]);
  }
  for (; j % 4 != 0; ++j) to[j] = 0;
  return r;
}

// The longest of some rows; infinite when one is not finite. `row` is scratch.
HWY_INLINE float longest(const AttentionOperand& x,
                         int64_t b,
                         int64_t h,
                         int64_t first,
                         int64_t n,
                         int64_t columns,
                         float* row) {
  const F d;
  float most = 0;
  for (int64_t i = first; i < first + n; ++i) {
    load_row(x.at(b, h, i), x.dtype, x.column, columns, 1, row);
    std::fill(row + columns, row + padded(columns), 0.0f);
    Vf sum = hn::Zero(d);
    for (int64_t j = 0; j < columns; j += int64_t(hn::Lanes(d)))
      sum = hn::MulAdd(hn::LoadU(d, row + j), hn::LoadU(d, row + j), sum);
    const float square = hn::GetLane(hn::SumOfLanes(d, sum));
    if (!(square < kInf)) return kInf;
    most = std::max(most, square);
  }
  return std::sqrt(most);
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
