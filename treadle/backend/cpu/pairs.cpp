// Vector code of pairs of cheap rows (lane_table.h): a pass over a tile costs
// about as much in memory traffic as in arithmetic, so two or three additions
// and multiplications in one are nearly twice as fast.
#include <cmath>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/simd_targets.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/pairs.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "treadle/backend/cpu/rows-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

constexpr int kNone = kNumPairOps;

template <int op, class V>
HWY_INLINE V apply(V a, V b) {
  if constexpr (op == static_cast<int>(PairOp::add)) {
    return a + b;
  } else if constexpr (op == static_cast<int>(PairOp::subtract)) {
    return a - b;
  } else {
    return a * b;
  }
}

template <int first, int then, int last, class V>
HWY_INLINE V value(V a, V b, V c, V d) {
  const V left = apply<first>(a, b);
  V right = c;
  if constexpr (last != kNone) right = apply<last>(c, d);
  if constexpr (then == static_cast<int>(ThenOp::from)) {
    return right - left;
  } else {
    return apply<then>(left, right);
  }
}

template <class T, int first, int then, int last>
void pair(size_t n, void* out, const void* const* in, unsigned flags) {
  const size_t lanes = hn::Lanes(Tag<T>());
  Reader<Vec<T>> a(in[0], flags & 1), b(in[1], flags & 2), c(in[2], flags & 4),
      d(in[3], flags & 8);
  Writer<Vec<T>> y(out, flags);
  for (; n >= lanes; n -= lanes) {
    const Vec<T> va = a.next(), vb = b.next(), vc = c.next();
    const Vec<T> vd = last == kNone ? vc : d.next();
    y.next(value<first, then, last>(va, vb, vc, vd));
  }
  if (n > 0) {
    const Vec<T> va = a.rest(n), vb = b.rest(n), vc = c.rest(n);
    const Vec<T> vd = last == kNone ? vc : d.rest(n);
    y.rest(value<first, then, last>(va, vb, vc, vd), n);
  }
}

template <class T, int first, int then, int last = 0>
void fill_last(LaneTable* t, int lane) {
  if constexpr (last == kNone || then != static_cast<int>(ThenOp::from)) {
    t->pair[lane][first][then][last] = pair<T, first, then, last>;
  }
  if constexpr (last < kNone) fill_last<T, first, then, last + 1>(t, lane);
}
template <class T, int first, int then = 0>
void fill_then(LaneTable* t, int lane) {
  fill_last<T, first, then>(t, lane);
  if constexpr (then + 1 < kNumThenOps) fill_then<T, first, then + 1>(t, lane);
}

void fill(LaneTable* t) {
  fill_then<float, 0>(t, 0);
  fill_then<float, 1>(t, 0);
  fill_then<float, 2>(t, 0);
  fill_then<double, 0>(t, 1);
  fill_then<double, 1>(t, 1);
  fill_then<double, 2>(t, 1);
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(fill);
void fill_pairs(LaneTable* t) { HWY_DYNAMIC_DISPATCH(fill)(t); }

}  // namespace treadle::backend::cpu
#endif
