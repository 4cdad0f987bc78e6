#include "treadle/backend/cpu/pool_rows.h"

#include <limits>

#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/pool_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "treadle/backend/cpu/float_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu {
namespace HWY_NAMESPACE {
namespace {

// Calls f(d, at, load, store) for each vector of channels: at is the first
// channel; load and store know how many there are.
template <class A, class F>
HWY_INLINE void for_channels(int64_t channels, F&& f) {
  const hn::ScalableTag<A> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) {
    f(
        d,
        c,
        [d](const auto* p) HWY_ATTR { return load(d, p); },
        [d](auto v, auto* p) HWY_ATTR { store(d, v, p); });
  }
  if (c < channels) {
    const size_t rest = size_t(channels - c);
    f(
        d,
        c,
        [d, rest](const auto* p) HWY_ATTR { return load_first(d, p, rest); },
        [d, rest](auto v, auto* p) HWY_ATTR { store_first(d, v, p, rest); });
  }
}

// Calls f(tap) for each: N of them, or as many as there are when N is 0. The
// usual window of 2 x 2 gains a third by not being a loop.
template <int N, class F>
HWY_INLINE void for_taps(std::span<const int64_t> taps, F&& f) {
  if constexpr (N > 0) {
    TREADLE_UNROLL for (size_t k = 0; k < N; ++k) f(taps[k]);
  } else {
    for (int64_t tap : taps) f(tap);
  }
}

template <class T, int N>
struct Max {
  static void run(const PoolRow& r) {
    using A = Wide<T>;
    for (int64_t i = 0; i < r.count; ++i) {
      const T* const x = static_cast<const T*>(r.x) + i * r.step;
      T* const out = static_cast<T*>(r.out) + i * r.channels;
      for_channels<A>(
          r.channels, [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
            auto best = hn::Set(d, -std::numeric_limits<A>::infinity());
            // A maximum with NaN depends on the order of its arguments, so
            // NaN is collected beside it.
            auto nan = hn::IsNaN(best);
            for_taps<N>(r.taps, [&](int64_t tap) HWY_ATTR {
              const auto v = load(x + tap + c);
              nan = hn::Or(nan, hn::IsNaN(v));
              best = hn::Max(v, best);
            });
            best = hn::IfThenElse(nan, hn::NaN(d), best);
            store(best, out + c);
          });
    }
  }
};

// By a power of two a product is as exact, and much faster.
template <class D, class V>
HWY_INLINE V divide(D d, V v, int64_t n) {
  using A = hn::TFromD<D>;
  return (n & (n - 1)) == 0 ? hn::Mul(v, hn::Set(d, A(1) / static_cast<A>(n)))
                            : hn::Div(v, hn::Set(d, static_cast<A>(n)));
}

template <class T, int N>
struct Mean {
  static void run(const PoolRow& r) {
    using A = Wide<T>;
    for (int64_t i = 0; i < r.count; ++i) {
      const T* const x = static_cast<const T*>(r.x) + i * r.step;
      T* const out = static_cast<T*>(r.out) + i * r.channels;
      for_channels<A>(r.channels,
                      [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
                        auto sum = hn::Zero(d);
                        for (int64_t tap : r.taps)
                          sum = hn::Add(sum, load(x + tap + c));
                        store(divide(d, sum, r.elements), out + c);
                      });
    }
  }
};

// v divided by how many elements of the window equal y. Padding holds minus
// infinity.
template <int N, class D, class V, class T, class Load>
HWY_INLINE V shared(D d, const PoolRow& r, const T* x, V y, V v, Load load) {
  using A = hn::TFromD<D>;
  const auto one = hn::Set(d, A(1));
  auto count = hn::Zero(d);
  for_taps<N>(r.taps, [&](int64_t tap) HWY_ATTR {
    count = hn::Add(count, hn::IfThenElseZero(hn::Eq(load(x + tap), y), one));
  });
  const int64_t padding = r.elements - int64_t(r.taps.size());
  if (padding > 0) {
    const auto low = hn::Set(d, -std::numeric_limits<A>::infinity());
    const auto more = hn::Set(d, static_cast<A>(padding));
    count = hn::Add(count, hn::IfThenElseZero(hn::Eq(y, low), more));
  }
  // Mostly there is one maximum; dividing would cost as much as all else.
  return hn::AllTrue(d, hn::Eq(count, one)) ? v : hn::Div(v, count);
}

template <class T, int N>
struct Pick {
  static void run(const PoolRow& r) {
    using A = Wide<T>;
    for (int64_t i = 0; i < r.count; ++i) {
      const T* const x = static_cast<const T*>(r.x) + i * r.step;
      const T* const v = static_cast<const T*>(r.v) + i * r.step;
      const T* const y = static_cast<const T*>(r.y) + i * r.channels;
      T* const out = static_cast<T*>(r.out) + i * r.channels;
      for_channels<A>(
          r.channels, [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
            const auto top = load(y + c);
            auto sum = hn::Zero(d);
            for_taps<N>(r.taps, [&](int64_t tap) HWY_ATTR {
              const auto equal = hn::Eq(load(x + tap + c), top);
              sum = hn::Add(sum, hn::IfThenElseZero(equal, load(v + tap + c)));
            });
            sum = shared<N>(d, r, x + c, top, sum, load);
            store(hn::IfThenElse(hn::IsNaN(top), top, sum), out + c);
          });
    }
  }
};

template <class T, int N>
struct MaxGrad {
  static void run(const PoolRow& r, const PoolTarget& t) {
    using A = Wide<T>;
    for (int64_t i = 0; i < r.count; ++i) {
      const T* const x = static_cast<const T*>(r.x) + i * r.step;
      const T* const y = static_cast<const T*>(r.y) + i * r.channels;
      const T* const ct = static_cast<const T*>(r.v) + i * r.channels;
      A* const out = static_cast<A*>(r.out) + i * r.step;
      for_channels<A>(
          r.channels, [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
            const auto top = load(y + c);
            const auto nan = hn::IsNaN(top);
            const auto v = shared<N>(d, r, x + c, top, load(ct + c), load);
            const auto share = hn::IfThenElse(nan, top, v);
            for_taps<N>(t.where, [&](int64_t tap) HWY_ATTR {
              const auto gets = hn::Or(hn::Eq(load(x + tap + c), top), nan);
              const auto part = hn::IfThenElseZero(gets, share);
              A* const at = out + (tap - t.origin) + c;
              store(t.apart ? part : hn::Add(load(at), part), at);
            });
          });
    }
  }
};

template <class T, int N>
struct MeanGrad {
  static void run(const PoolRow& r, const PoolTarget& t) {
    using A = Wide<T>;
    for (int64_t i = 0; i < r.count; ++i) {
      const T* const ct = static_cast<const T*>(r.v) + i * r.channels;
      A* const out = static_cast<A*>(r.out) + i * r.step;
      for_channels<A>(r.channels,
                      [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
                        const auto share = divide(d, load(ct + c), r.elements);
                        for (int64_t tap : t.where) {
                          A* const at = out + (tap - t.origin) + c;
                          store(t.apart ? share : hn::Add(load(at), share), at);
                        }
                      });
    }
  }
};

template <template <class, int> class K, int N, class... Args>
HWY_INLINE void with_type(const PoolRow& r, const Args&... args) {
  switch (r.dtype) {
    case Dtype::float16:
      return K<float16_t, N>::run(r, args...);
    case Dtype::bfloat16:
      return K<bfloat16_t, N>::run(r, args...);
    case Dtype::float32:
      return K<float, N>::run(r, args...);
    default:
      return K<double, N>::run(r, args...);
  }
}
template <template <class, int> class K>
HWY_INLINE void reduce_with(const PoolRow& r) {
  r.taps.size() == 4 ? with_type<K, 4>(r) : with_type<K, 0>(r);
}
template <template <class, int> class K>
HWY_INLINE void spread_with(const PoolRow& r, const PoolTarget& t) {
  const bool four = r.taps.size() == 4 && t.where.size() == 4;
  four ? with_type<K, 4>(r, t) : with_type<K, 0>(r, t);
}

void max_of(const PoolRow& r) { reduce_with<Max>(r); }
void mean_of(const PoolRow& r) { reduce_with<Mean>(r); }
void pick_of(const PoolRow& r) { with_type<Pick, 0>(r); }
void max_grad_of(const PoolRow& r, const PoolTarget& t) {
  spread_with<MaxGrad>(r, t);
}
void mean_grad_of(const PoolRow& r, const PoolTarget& t) {
  spread_with<MeanGrad>(r, t);
}

template <class T>
HWY_INLINE void round_of(const float* sums, T* to, int64_t count) {
  for_channels<float>(count,
                      [&](auto, int64_t i, auto load, auto store)
                          HWY_ATTR { store(load(sums + i), to + i); });
}
void round_half(Dtype dtype, const float* sums, void* to, int64_t count) {
  if (dtype == Dtype::float16) {
    round_of(sums, static_cast<float16_t*>(to), count);
  } else {
    round_of(sums, static_cast<bfloat16_t*>(to), count);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace treadle::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(max_of);
HWY_EXPORT(mean_of);
HWY_EXPORT(pick_of);
HWY_EXPORT(max_grad_of);
HWY_EXPORT(mean_grad_of);
HWY_EXPORT(round_half);

void pool_max(const PoolRow& r) { HWY_DYNAMIC_DISPATCH(max_of)(r); }
void pool_mean(const PoolRow& r) { HWY_DYNAMIC_DISPATCH(mean_of)(r); }
void pool_pick(const PoolRow& r) { HWY_DYNAMIC_DISPATCH(pick_of)(r); }
void pool_max_grad(const PoolRow& r, const PoolTarget& t) {
  HWY_DYNAMIC_DISPATCH(max_grad_of)(r, t);
}
void pool_mean_grad(const PoolRow& r, const PoolTarget& t) {
  HWY_DYNAMIC_DISPATCH(mean_grad_of)(r, t);
}

void round_to_half(Dtype dtype, const float* sums, void* to, int64_t count) {
  HWY_DYNAMIC_DISPATCH(round_half)(dtype, sums, to, count);
}

}  // namespace treadle::backend::cpu
#endif
