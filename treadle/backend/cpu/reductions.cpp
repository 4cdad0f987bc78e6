// Vector code of reductions. A run goes through four vectors of partial results
// and then a tree. Float sums are kept in double from the third addition on, so
// that sums of any length are as good as one rounding.
#include <algorithm>
#include <cmath>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/simd_targets.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/reductions.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "treadle/backend/cpu/rows-inl.h"
#include "treadle/backend/cpu/sums-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

// Arithmetic that wraps around.
template <class T>
using Wrapping = std::conditional_t<hwy::IsFloat<T>(), T, uint64_t>;

// An operation on vectors of partial results (merged), on two results (joined)
// and on the lanes of a vector (across).
template <class T>
struct Sum {
  static HWY_INLINE Raw<T> start() { return hn::Zero(Tag<T>()); }
  static HWY_INLINE Raw<T> merged(Raw<T> a, Raw<T> b) { return hn::Add(a, b); }
  static T joined(T a, T b) {
    using U = Wrapping<T>;
    return static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  }
  static HWY_INLINE T across(Raw<T> v) {
    if constexpr (hwy::IsFloat<T>()) {
      return hn::GetLane(hn::SumOfLanes(Tag<T>(), v));
    } else {
      // The compiler's own reduction adds signed integers, whose overflow is
      // undefined.
      HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
      hn::Store(v, Tag<T>(), lanes);
      uint64_t sum = 0;
      for (size_t i = 0; i < hn::Lanes(Tag<T>()); ++i)
        sum += static_cast<uint64_t>(lanes[i]);
      return static_cast<T>(sum);
    }
  }
};

template <class T>
struct Prod {
  static HWY_INLINE Raw<T> start() { return num<T>(1); }
  static HWY_INLINE Raw<T> merged(Raw<T> a, Raw<T> b) { return a * b; }
  static T joined(T a, T b) {
    using U = Wrapping<T>;
    return static_cast<T>(static_cast<U>(a) * static_cast<U>(b));
  }
  static HWY_INLINE T across(Raw<T> v) {
    HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(v, Tag<T>(), lanes);
    for (size_t half = hn::Lanes(Tag<T>()) / 2; half > 0; half /= 2) {
      for (size_t i = 0; i < half; ++i) {
        lanes[i] = joined(lanes[i], lanes[i + half]);
      }
    }
    return lanes[0];
  }
};

// A NaN that was met stays in its lane.
template <class T, bool kMax>
struct Extreme {
  static HWY_INLINE Raw<T> start() {
    using L = std::numeric_limits<T>;
    if constexpr (hwy::IsFloat<T>()) {
      return hn::Set(Tag<T>(), kMax ? -L::infinity() : L::infinity());
    } else {
      return hn::Set(Tag<T>(), kMax ? L::min() : L::max());
    }
  }
  static HWY_INLINE Raw<T> merged(Raw<T> a, Raw<T> b) {
    return kMax ? vm::max(Vec<T>{a}, Vec<T>{b}).v
                : vm::min(Vec<T>{a}, Vec<T>{b}).v;
  }
  static T joined(T a, T b) { return a != a || (kMax ? a > b : a < b) ? a : b; }
  static HWY_INLINE T across(Raw<T> v) {
    const Tag<T> d;
    if constexpr (hwy::IsFloat<T>()) {
      if (HWY_UNLIKELY(!hn::AllTrue(d, hn::Eq(v, v)))) {
        return std::numeric_limits<T>::quiet_NaN();
      }
    }
    return hn::GetLane(kMax ? hn::MaxOfLanes(d, v) : hn::MinOfLanes(d, v));
  }
};

template <class Op, class T>
HWY_INLINE T reduced(size_t n, const T* x) {
  const Tag<T> d;
  const size_t lanes = hn::Lanes(d);
  auto a0 = Op::start(), a1 = a0, a2 = a0, a3 = a0;
  for (; n >= 4 * lanes; n -= 4 * lanes, x += 4 * lanes) {
    a0 = Op::merged(a0, hn::LoadU(d, x));
    a1 = Op::merged(a1, hn::LoadU(d, x + lanes));
    a2 = Op::merged(a2, hn::LoadU(d, x + 2 * lanes));
    a3 = Op::merged(a3, hn::LoadU(d, x + 3 * lanes));
  }
  for (; n >= lanes; n -= lanes, x += lanes) {
    a0 = Op::merged(a0, hn::LoadU(d, x));
  }
  if (n > 0) {
    const auto v = load_some(d, x, n);
    a1 = Op::merged(a1, hn::IfThenElse(hn::FirstN(d, n), v, Op::start()));
  }
  return Op::across(Op::merged(Op::merged(a0, a1), Op::merged(a2, a3)));
}

double float_sum(size_t n, const float* x) {
  FloatSum sum;
  sum.take(n, x);
  return sum.total();
}

void float_sum_rows(size_t rows, size_t n, void* out, const void* in) {
  const float* x = static_cast<const float*>(in);
  float* y = static_cast<float*>(out);
  for (size_t r = 0; r < rows; ++r, x += n)
    y[r] = static_cast<float>(float_sum(n, x));
}

void float_sum_fold(size_t n, void* acc, const void* in) {
  *static_cast<double*>(acc) += float_sum(n, static_cast<const float*>(in));
}

template <class Op, class T>
void rows(size_t rows, size_t n, void* out, const void* in) {
  const T* x = static_cast<const T*>(in);
  T* y = static_cast<T*>(out);
  for (size_t r = 0; r < rows; ++r, x += n) y[r] = reduced<Op>(n, x);
}

// OpAcc is the operation on accumulators of type A.
template <class Op, class OpAcc, class T, class A>
void fold(size_t n, void* acc, const void* in) {
  A* a = static_cast<A*>(acc);
  *a = OpAcc::joined(*a, reduced<Op>(n, static_cast<const T*>(in)));
}

// A vector of accumulators at a time stays in registers while all rows pass.
template <class Op, class T>
void add(size_t rows, size_t n, void* acc, const void* in) {
  const Tag<T> d;
  const size_t lanes = hn::Lanes(d);
  const T* x = static_cast<const T*>(in);
  T* a = static_cast<T*>(acc);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto sum = hn::LoadU(d, a + i);
    for (size_t r = 0; r < rows; ++r)
      sum = Op::merged(sum, hn::LoadU(d, x + r * n + i));
    hn::StoreU(sum, d, a + i);
  }
  if (i < n) {
    auto sum = load_some(d, a + i, n - i);
    for (size_t r = 0; r < rows; ++r) {
      sum = Op::merged(sum, load_some(d, x + r * n + i, n - i));
    }
    store_some(sum, d, a + i, n - i);
  }
}

// Up to four rows are added as floats, their sums to doubles, as in float_sum.
void float_sum_add(size_t rows, size_t n, void* acc, const void* in) {
  const Tag<float> d;
  const Tag<double> dd;
  const hn::Rebind<float, Tag<double>> dh;
  const size_t half = hn::Lanes(dd);
  const float* x = static_cast<const float*>(in);
  double* a = static_cast<double*>(acc);
  // From `load(row)` on, calls take(sum) for four rows, then two, then one.
  const auto fours = [rows](const auto& load, const auto& take) HWY_ATTR {
    size_t r = 0;
    for (; r + 4 <= rows; r += 4) {
      take(hn::Add(hn::Add(load(r), load(r + 1)),
                   hn::Add(load(r + 2), load(r + 3))));
    }
    if (rows - r >= 2) {
      take(hn::Add(load(r), load(r + 1)));
      r += 2;
    }
    if (r < rows) take(load(r));
  };
  size_t i = 0;
  for (; i + 2 * half <= n; i += 2 * half) {
    auto lo = hn::LoadU(dd, a + i), hi = hn::LoadU(dd, a + i + half);
    fours([&](size_t r) HWY_ATTR { return hn::LoadU(d, x + r * n + i); },
          [&](Raw<float> v) HWY_ATTR {
            lo = hn::Add(lo, hn::PromoteTo(dd, hn::LowerHalf(dh, v)));
            hi = hn::Add(hi, hn::PromoteTo(dd, hn::UpperHalf(dh, v)));
          });
    hn::StoreU(lo, dd, a + i);
    hn::StoreU(hi, dd, a + i + half);
  }
  for (size_t m; i < n; i += m) {
    m = std::min(half, n - i);
    auto sum = load_some(dd, a + i, m);
    fours([&](size_t r) HWY_ATTR { return load_some(dh, x + r * n + i, m); },
          [&](hn::Vec<decltype(dh)> v)
              HWY_ATTR { sum = hn::Add(sum, hn::PromoteTo(dd, v)); });
    store_some(sum, dd, a + i, m);
  }
}

// Double accumulators take floats.
template <class Op>
void add_wide(size_t rows, size_t n, void* acc, const void* in) {
  const Tag<double> d;
  const hn::Rebind<float, Tag<double>> dh;
  const size_t lanes = hn::Lanes(d);
  const float* x = static_cast<const float*>(in);
  double* a = static_cast<double*>(acc);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto sum = hn::LoadU(d, a + i);
    for (size_t r = 0; r < rows; ++r) {
      sum = Op::merged(sum, hn::PromoteTo(d, hn::LoadU(dh, x + r * n + i)));
    }
    hn::StoreU(sum, d, a + i);
  }
  if (i < n) {
    auto sum = load_some(d, a + i, n - i);
    for (size_t r = 0; r < rows; ++r) {
      sum = Op::merged(sum,
                       hn::PromoteTo(d, load_some(dh, x + r * n + i, n - i)));
    }
    store_some(sum, d, a + i, n - i);
  }
}

template <class T>
void fill_lane(LaneTable* t, plan::Lane lane) {
  const auto at = [&](ReduceKind k) -> ReduceFns& {
    return t->reduce[static_cast<int>(k)][static_cast<int>(lane)];
  };
  using A = std::conditional_t<hwy::IsFloat<T>(), double, T>;
  ReduceFns& sum = at(ReduceKind::sum);
  if constexpr (std::is_same_v<T, float>) {
    sum.rows = float_sum_rows;
    sum.fold = float_sum_fold;
  } else {
    sum.rows = rows<Sum<T>, T>;
    sum.fold = fold<Sum<T>, Sum<T>, T, T>;
  }
  ReduceFns& prod = at(ReduceKind::prod);
  prod.rows = rows<Prod<T>, T>;
  prod.fold = fold<Prod<T>, Prod<A>, T, A>;
  if constexpr (std::is_same_v<T, float>) {
    sum.add = float_sum_add;
    prod.add = add_wide<Prod<double>>;
  } else {
    sum.add = add<Sum<T>, T>;
    prod.add = add<Prod<T>, T>;
  }
  ReduceFns& max = at(ReduceKind::max);
  max.rows = rows<Extreme<T, true>, T>;
  max.fold = fold<Extreme<T, true>, Extreme<T, true>, T, T>;
  max.add = add<Extreme<T, true>, T>;
  ReduceFns& min = at(ReduceKind::min);
  min.rows = rows<Extreme<T, false>, T>;
  min.fold = fold<Extreme<T, false>, Extreme<T, false>, T, T>;
  min.add = add<Extreme<T, false>, T>;
}

void fill(LaneTable* t) {
  fill_lane<float>(t, plan::Lane::f32);
  fill_lane<double>(t, plan::Lane::f64);
  fill_lane<int32_t>(t, plan::Lane::i32);
  fill_lane<int64_t>(t, plan::Lane::i64);
  fill_lane<uint32_t>(t, plan::Lane::u32);
  fill_lane<uint64_t>(t, plan::Lane::u64);
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(fill);
void fill_reductions(LaneTable* t) { HWY_DYNAMIC_DISPATCH(fill)(t); }

}  // namespace treadle::backend::cpu
#endif
