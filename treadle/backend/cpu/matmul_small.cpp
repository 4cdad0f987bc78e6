#include "treadle/backend/cpu/matmul_small.h"

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/matmul_small.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "treadle/backend/cpu/float_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

// Rows of c that are held in registers: 2 vectors each, beside 2 of b and 1 of
// a.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int kRows = 8;
#else
constexpr int kRows = 4;
#endif

// A block of c: R rows of V vectors, with `last` elements in the last vector
// unless it is whole. Adds to c when `add`.
template <int R, int V, bool whole, class T>
HWY_INLINE void block(const SmallProduct<T>& p,
                      int64_t i,
                      const T* b,
                      int64_t b_row,
                      int64_t k0,
                      int64_t k1,
                      T* c,
                      bool add,
                      size_t last) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  hn::Vec<decltype(d)> sum[R][V];
  T* const c0 = c + i * p.c_row;
  TREADLE_UNROLL for (int r = 0; r < R; ++r) {
    TREADLE_UNROLL for (int v = 0; v < V; ++v) {
      const T* at = c0 + r * p.c_row + v * lanes;
      if (!add) {
        sum[r][v] = hn::Zero(d);
      } else if (whole || v + 1 < V) {
        sum[r][v] = hn::LoadU(d, at);
      } else {
        sum[r][v] = load_first(d, at, last);
      }
    }
  }
  const T* a = p.a + i * p.a_row + k0 * p.a_column;
  for (int64_t k = k0; k < k1; ++k, a += p.a_column, b += b_row) {
    hn::Vec<decltype(d)> row[V];
    TREADLE_UNROLL for (int v = 0; v < V; ++v) {
      const T* at = b + v * lanes;
      row[v] = whole || v + 1 < V ? hn::LoadU(d, at) : load_first(d, at, last);
    }
    TREADLE_UNROLL for (int r = 0; r < R; ++r) {
      const auto x = hn::Set(d, a[r * p.a_row]);
      TREADLE_UNROLL for (int v = 0; v < V; ++v) {
        sum[r][v] = hn::MulAdd(x, row[v], sum[r][v]);
      }
    }
  }
  TREADLE_UNROLL for (int r = 0; r < R; ++r) {
    TREADLE_UNROLL for (int v = 0; v < V; ++v) {
      T* at = c0 + r * p.c_row + v * lanes;
      if (whole || v + 1 < V) {
        hn::StoreU(sum[r][v], d, at);
      } else {
        store_first(d, sum[r][v], at, last);
      }
    }
  }
}

// All rows of a panel of c that is V vectors wide.
template <int V, bool whole, class T>
HWY_INLINE void panel(const SmallProduct<T>& p,
                      const T* b,
                      int64_t b_row,
                      int64_t k0,
                      int64_t k1,
                      T* c,
                      bool add,
                      size_t last) {
  int64_t i = 0;
  for (; i + kRows <= p.m; i += kRows) {
    block<kRows, V, whole>(p, i, b, b_row, k0, k1, c, add, last);
  }
  for (; i + 2 <= p.m; i += 2) {
    block<2, V, whole>(p, i, b, b_row, k0, k1, c, add, last);
  }
  if (i < p.m) block<1, V, whole>(p, i, b, b_row, k0, k1, c, add, last);
}

// The steps from one lane to the next, for GatherIndex.
template <class D>
HWY_INLINE auto lane_steps(D d, int64_t step) {
  const hn::RebindToSigned<D> di;
  using I = hn::TFromD<decltype(di)>;
  (void)d;
  return hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<I>(step)));
}

constexpr int64_t kDepth = 256;  // rows of b that are packed at once

template <class T>
void matmul(const SmallProduct<T>& p) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = int64_t(hn::Lanes(d)), width = 2 * lanes;
  // A panel of b with its rows side by side, when b does not have them so.
  HWY_ALIGN T packed[kDepth * 2 * hn::MaxLanes(d)];
  const bool pack = p.b_column != 1;
  const int64_t depth = pack ? kDepth : p.k;
  for (int64_t j = 0; j < p.n; j += width) {
    const int64_t columns = std::min(width, p.n - j);
    for (int64_t k0 = 0; k0 < p.k; k0 += depth) {
      const int64_t k1 = std::min(p.k, k0 + depth);
      const T* b = p.b + k0 * p.b_row + j * p.b_column;
      int64_t b_row = p.b_row;
      if (pack) {
        const bool gather = columns == width && p.b_column > 0 &&
                            p.b_column < (int64_t{1} << 24);
        for (int64_t k = 0; k < k1 - k0; ++k) {
          const T* from = b + k * p.b_row;
          T* to = packed + k * width;
          if (gather) {
            const auto steps = lane_steps(d, p.b_column);
            hn::Store(hn::GatherIndex(d, from, steps), d, to);
            hn::Store(hn::GatherIndex(d, from + lanes * p.b_column, steps),
                      d,
                      to + lanes);
          } else {
            for (int64_t i = 0; i < columns; ++i) to[i] = from[i * p.b_column];
          }
        }
        b = packed;
        b_row = width;
      }
      const bool add = p.add || k0 > 0;
      T* c = p.c + j;
      if (columns == width) {
        panel<2, true>(p, b, b_row, k0, k1, c, add, 0);
      } else if (columns > lanes) {
        panel<2, false>(p, b, b_row, k0, k1, c, add, size_t(columns - lanes));
      } else {
        panel<1, false>(p, b, b_row, k0, k1, c, add, size_t(columns));
      }
    }
  }
}

void matmul_f32(const SmallProduct<float>& p) { matmul(p); }
void matmul_f64(const SmallProduct<double>& p) { matmul(p); }

// One row ---------------------------------------------------------------------

constexpr int64_t kChunk = 4096;  // of x, as sums' type, on the stack
constexpr int64_t kStrip = 1024;  // of y
// From this many bytes on, b comes from memory and is read as one stream.
constexpr int64_t kStreamed = 1 << 20;

// y += x (R) @ b (R, n), rows of b contiguous.
template <int R, class A, class T>
HWY_INLINE void add_rows(
    const A* x, const T* b, int64_t lead, A* y, int64_t n) {
  const hn::ScalableTag<A> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  hn::Vec<decltype(d)> xs[R];
  TREADLE_UNROLL for (int r = 0; r < R; ++r) xs[r] = hn::Set(d, x[r]);
  int64_t j = 0;
  for (; j + lanes <= n; j += lanes) {
    auto sum = hn::LoadU(d, y + j);
    TREADLE_UNROLL for (int r = 0; r < R; ++r) {
      sum = hn::MulAdd(xs[r], load(d, b + r * lead + j), sum);
    }
    hn::StoreU(sum, d, y + j);
  }
  if (j < n) {
    const size_t rest = size_t(n - j);
    auto sum = load_first(d, y + j, rest);
    TREADLE_UNROLL for (int r = 0; r < R; ++r) {
      sum = hn::MulAdd(xs[r], load_first(d, b + r * lead + j, rest), sum);
    }
    store_first(d, sum, y + j, rest);
  }
}

// y[j] += x (k) . column j of b, for R columns, each contiguous.
template <int R, class A, class T>
HWY_INLINE void add_dots(
    const A* x, const T* b, int64_t lead, A* y, int64_t k) {
  const hn::ScalableTag<A> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  hn::Vec<decltype(d)> even[R], odd[R];
  TREADLE_UNROLL for (int r = 0; r < R; ++r) even[r] = odd[r] = hn::Zero(d);
  int64_t p = 0;
  for (; p + 2 * lanes <= k; p += 2 * lanes) {
    const auto x0 = hn::LoadU(d, x + p), x1 = hn::LoadU(d, x + p + lanes);
    TREADLE_UNROLL for (int r = 0; r < R; ++r) {
      const T* at = b + r * lead + p;
      even[r] = hn::MulAdd(x0, load(d, at), even[r]);
      odd[r] = hn::MulAdd(x1, load(d, at + lanes), odd[r]);
    }
  }
  for (; p < k; p += lanes) {
    const size_t rest = size_t(std::min(lanes, k - p));
    const auto x0 = load_first(d, x + p, rest);
    TREADLE_UNROLL for (int r = 0; r < R; ++r) {
      even[r] = hn::MulAdd(x0, load_first(d, b + r * lead + p, rest), even[r]);
    }
  }
  TREADLE_UNROLL for (int r = 0; r < R; ++r) {
    y[r] += hn::GetLane(hn::SumOfLanes(d, hn::Add(even[r], odd[r])));
  }
}

// The same for one column of a b that is in no cache. The hardware looks ahead
// within a page, which is about what a column has, so what follows is fetched
// here. Without that, four columns at a time get 60 % of the bandwidth in
// bfloat16 and 82 % in float32; so 85 and 90 %.
template <class A, class T>
HWY_INLINE void add_streamed_dot(const A* x, const T* b, A* y, int64_t k) {
  constexpr uintptr_t kLine = 64, kAhead = 2048;
  const hn::ScalableTag<A> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  hn::Vec<decltype(d)> sum[4];
  TREADLE_UNROLL for (int r = 0; r < 4; ++r) sum[r] = hn::Zero(d);
  int64_t p = 0;
  for (; p + 4 * lanes <= k; p += 4 * lanes) {
    // Past the end of b nothing is fetched.
    const uintptr_t ahead = reinterpret_cast<uintptr_t>(b + p) + kAhead;
    for (uintptr_t i = 0; i < uintptr_t(4 * lanes) * sizeof(T); i += kLine) {
      __builtin_prefetch(reinterpret_cast<const void*>(ahead + i));
    }
    TREADLE_UNROLL for (int r = 0; r < 4; ++r) {
      const int64_t at = p + r * lanes;
      sum[r] = hn::MulAdd(hn::LoadU(d, x + at), load(d, b + at), sum[r]);
    }
  }
  for (; p < k; p += lanes) {
    const size_t rest = size_t(std::min(lanes, k - p));
    sum[0] = hn::MulAdd(
        load_first(d, x + p, rest), load_first(d, b + p, rest), sum[0]);
  }
  const auto both = hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]));
  *y += hn::GetLane(hn::SumOfLanes(d, both));
}

template <class T>
void row_product_of(const RowProduct& p, int64_t begin, int64_t end) {
  using A = Wide<T>;
  A chunk[kChunk], strip[kStrip];
  const T* const x = static_cast<const T*>(p.x);
  const T* const b = static_cast<const T*>(p.b);
  const int64_t lead = p.b_lead;
  const bool streamed = p.n * p.k * int64_t(sizeof(T)) >= kStreamed;
  for (int64_t j0 = begin; j0 < end; j0 += kStrip) {
    const int64_t width = std::min(kStrip, end - j0);
    std::fill_n(strip, width, A(0));
    for (int64_t k0 = 0; k0 < p.k; k0 += kChunk) {
      const int64_t depth = std::min(kChunk, p.k - k0);
      const A* xs = chunk;
      if (std::is_same_v<T, A> && p.x_step == 1) {
        xs = reinterpret_cast<const A*>(x + k0);
      } else {
        for (int64_t i = 0; i < depth; ++i) {
          chunk[i] = static_cast<A>(x[(k0 + i) * p.x_step]);
        }
      }
      if (p.b_columns && streamed) {
        const T* at = b + j0 * lead + k0;
        for (int64_t j = 0; j < width; ++j) {
          add_streamed_dot(xs, at + j * lead, strip + j, depth);
        }
      } else if (p.b_columns) {
        const T* at = b + j0 * lead + k0;
        int64_t j = 0;
        for (; j + 4 <= width; j += 4) {
          add_dots<4>(xs, at + j * lead, lead, strip + j, depth);
        }
        for (; j < width; ++j) {
          add_dots<1>(xs, at + j * lead, lead, strip + j, depth);
        }
      } else {
        const T* at = b + k0 * lead + j0;
        int64_t i = 0;
        for (; i + 8 <= depth; i += 8) {
          add_rows<8>(xs + i, at + i * lead, lead, strip, width);
        }
        for (; i < depth; ++i) {
          add_rows<1>(xs + i, at + i * lead, lead, strip, width);
        }
      }
    }
    T* y = static_cast<T*>(p.y) + j0;
    const hn::ScalableTag<A> d;
    const int64_t lanes = int64_t(hn::Lanes(d));
    int64_t j = 0;
    for (; j + lanes <= width; j += lanes) {
      store(d, hn::LoadU(d, strip + j), y + j);
    }
    for (; j < width; ++j) y[j] = static_cast<T>(strip[j]);
  }
}

void row_product(const RowProduct& p, int64_t begin, int64_t end) {
  switch (p.dtype) {
    case Dtype::float16:
      return row_product_of<float16_t>(p, begin, end);
    case Dtype::bfloat16:
      return row_product_of<bfloat16_t>(p, begin, end);
    case Dtype::float32:
      return row_product_of<float>(p, begin, end);
    default:
      return row_product_of<double>(p, begin, end);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace treadle::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(matmul_f32);
HWY_EXPORT(matmul_f64);
HWY_EXPORT(row_product);

void small_matmul(const SmallProduct<float>& p) {
  HWY_DYNAMIC_DISPATCH(matmul_f32)(p);
}
void small_matmul(const SmallProduct<double>& p) {
  HWY_DYNAMIC_DISPATCH(matmul_f64)(p);
}
namespace {

template <class T>
void multiply_small(const Product& p, bool add) {
  SmallProduct<T> s;
  s.m = p.m;
  s.n = p.n;
  s.k = p.k;
  s.a = static_cast<const T*>(p.a.data);
  s.a_row = p.a.row_step;
  s.a_column = p.a.column_step;
  s.b = static_cast<const T*>(p.b.data);
  s.b_row = p.b.row_step;
  s.b_column = p.b.column_step;
  s.c = static_cast<T*>(p.c);
  s.c_row = p.n;
  s.add = add;
  small_matmul(s);
}

}  // namespace

void small_matmul(const Product& p, bool add) {
  p.dtype == float64 ? multiply_small<double>(p, add)
                     : multiply_small<float>(p, add);
}
void row_product(const RowProduct& p, int64_t begin, int64_t end) {
  HWY_DYNAMIC_DISPATCH(row_product)(p, begin, end);
}

}  // namespace treadle::backend::cpu
#endif
