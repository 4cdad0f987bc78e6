#include "treadle/backend/cpu/pool_rows.h"

#include <algorithm>
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

template <class T>
struct Max {
  static void run(const PoolWindow& w) {
    using A = Wide<T>;
    const T* const x = static_cast<const T*>(w.x);
    T* const out = static_cast<T*>(w.out);
    for_channels<A>(
        w.channels, [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
          auto best = hn::Set(d, -std::numeric_limits<A>::infinity());
          for (int64_t tap : w.taps) {
            const auto v = load(x + tap + c);
            // The first of equals stays, a NaN stays and wins.
            const auto keep = hn::Or(hn::Ge(best, v), hn::IsNaN(best));
            best = hn::IfThenElse(keep, best, v);
          }
          store(best, out + c);
        });
  }
};

template <class T>
struct Mean {
  static void run(const PoolWindow& w) {
    using A = Wide<T>;
    const T* const x = static_cast<const T*>(w.x);
    T* const out = static_cast<T*>(w.out);
    for_channels<A>(
        w.channels, [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
          auto sum = hn::Zero(d);
          for (int64_t tap : w.taps) sum = hn::Add(sum, load(x + tap + c));
          store(hn::Div(sum, hn::Set(d, static_cast<A>(w.elements))), out + c);
        });
  }
};

// How many elements of the window equal y. Padding holds minus infinity.
template <class D, class V, class T, class Load>
HWY_INLINE V
count_maxima(D d, const PoolWindow& w, const T* x, V y, Load load) {
  using A = hn::TFromD<D>;
  const auto one = hn::Set(d, A(1));
  auto count = hn::Zero(d);
  for (int64_t tap : w.taps) {
    count = hn::Add(count, hn::IfThenElseZero(hn::Eq(load(x + tap), y), one));
  }
  const int64_t padding = w.elements - int64_t(w.taps.size());
  if (padding > 0) {
    const auto low = hn::Set(d, -std::numeric_limits<A>::infinity());
    count = hn::Add(count,
                    hn::IfThenElseZero(hn::Eq(y, low),
                                       hn::Set(d, static_cast<A>(padding))));
  }
  return count;
}

template <class T>
struct Pick {
  static void run(const PoolWindow& w) {
    using A = Wide<T>;
    const T* const x = static_cast<const T*>(w.x);
    const T* const v = static_cast<const T*>(w.v);
    const T* const y = static_cast<const T*>(w.y);
    T* const out = static_cast<T*>(w.out);
    for_channels<A>(
        w.channels, [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
          const auto top = load(y + c);
          auto sum = hn::Zero(d);
          for (int64_t tap : w.taps) {
            const auto equal = hn::Eq(load(x + tap + c), top);
            sum = hn::Add(sum, hn::IfThenElseZero(equal, load(v + tap + c)));
          }
          const auto count = count_maxima(d, w, x + c, top, load);
          store(hn::IfThenElse(hn::IsNaN(top), top, hn::Div(sum, count)),
                out + c);
        });
  }
};

template <class T>
struct MaxGrad {
  static void run(const PoolWindow& w, std::span<const int64_t> where) {
    using A = Wide<T>;
    const T* const x = static_cast<const T*>(w.x);
    const T* const y = static_cast<const T*>(w.y);
    const T* const ct = static_cast<const T*>(w.v);
    A* const out = static_cast<A*>(w.out);
    for_channels<A>(
        w.channels, [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
          const auto top = load(y + c);
          const auto nan = hn::IsNaN(top);
          const auto count = count_maxima(d, w, x + c, top, load);
          const auto share =
              hn::IfThenElse(nan, top, hn::Div(load(ct + c), count));
          for (int64_t tap : where) {
            const auto gets = hn::Or(hn::Eq(load(x + tap + c), top), nan);
            A* const at = out + (tap - w.origin) + c;
            store(hn::Add(load(at), hn::IfThenElseZero(gets, share)), at);
          }
        });
  }
};

template <class T>
struct MeanGrad {
  static void run(const PoolWindow& w, std::span<const int64_t> where) {
    using A = Wide<T>;
    const T* const ct = static_cast<const T*>(w.v);
    A* const out = static_cast<A*>(w.out);
    for_channels<A>(
        w.channels, [&](auto d, int64_t c, auto load, auto store) HWY_ATTR {
          const auto share =
              hn::Div(load(ct + c), hn::Set(d, static_cast<A>(w.elements)));
          for (int64_t tap : where) {
            A* const at = out + (tap - w.origin) + c;
            store(hn::Add(load(at), share), at);
          }
        });
  }
};

template <template <class> class K, class... Args>
HWY_INLINE void with_type(const PoolWindow& w, Args... args) {
  switch (w.dtype) {
    case Dtype::float16:
      return K<float16_t>::run(w, args...);
    case Dtype::bfloat16:
      return K<bfloat16_t>::run(w, args...);
    case Dtype::float32:
      return K<float>::run(w, args...);
    default:
      return K<double>::run(w, args...);
  }
}

void max_of(const PoolWindow& w) { with_type<Max>(w); }
void mean_of(const PoolWindow& w) { with_type<Mean>(w); }
void pick_of(const PoolWindow& w) { with_type<Pick>(w); }
void max_grad_of(const PoolWindow& w, std::span<const int64_t> where) {
  with_type<MaxGrad>(w, where);
}
void mean_grad_of(const PoolWindow& w, std::span<const int64_t> where) {
  with_type<MeanGrad>(w, where);
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

void pool_max(const PoolWindow& w) { HWY_DYNAMIC_DISPATCH(max_of)(w); }
void pool_mean(const PoolWindow& w) { HWY_DYNAMIC_DISPATCH(mean_of)(w); }
void pool_pick(const PoolWindow& w) { HWY_DYNAMIC_DISPATCH(pick_of)(w); }
void pool_max_grad(const PoolWindow& w, std::span<const int64_t> where) {
  HWY_DYNAMIC_DISPATCH(max_grad_of)(w, where);
}
void pool_mean_grad(const PoolWindow& w, std::span<const int64_t> where) {
  HWY_DYNAMIC_DISPATCH(mean_grad_of)(w, where);
}

}  // namespace treadle::backend::cpu
#endif
