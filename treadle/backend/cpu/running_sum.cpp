// Inside of a vector the sums go by halves: pairs, then pairs of pairs, each
// lane of a right half adding the last of the left one. Four vectors at a time
// are summed up by themselves, so that what is carried on from one four to the
// next waits for one addition only.
#include "treadle/backend/cpu/running_sum.h"

#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/running_sum.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
class Lanes {
 public:
  using D = hn::ScalableTag<T>;
  using V = hn::Vec<D>;
  using Index = hwy::MakeSigned<T>;
  using DI = hn::RebindToSigned<D>;

  Lanes() : n_(int64_t(hn::Lanes(D()))) {
    HWY_ALIGN Index from[hn::MaxLanes(D())], taken[hn::MaxLanes(D())];
    for (int64_t s = 0, half = 1; half < n_; ++s, half *= 2) {
      for (int64_t l = 0; l < n_; ++l) {
        bool right = l & half;
        from[l] = Index(right ? l / half * half - 1 : l);
        taken[l] = right ? Index(-1) : Index(0);
      }
      hn::Store(hn::Load(DI(), from), DI(), from_ + s * n_);
      hn::Store(hn::Load(DI(), taken), DI(), taken_ + s * n_);
    }
    for (int64_t l = 0; l < n_; ++l) last_[l] = Index(n_ - 1);
  }

  int64_t count() const { return n_; }

  // Each lane with the sum of it and those before.
  HWY_INLINE V scan(V v) const {
    const D d;
    for (int64_t s = 0, half = 1; half < n_; ++s, half *= 2) {
      auto index = hn::SetTableIndices(d, from_ + s * n_);
      V mask = hn::BitCast(d, hn::Load(DI(), taken_ + s * n_));
      v = hn::Add(v, hn::And(mask, hn::TableLookupLanes(v, index)));
    }
    return v;
  }
  HWY_INLINE V last(V v) const {
    return hn::TableLookupLanes(v, hn::SetTableIndices(D(), last_));
  }

 private:
  static constexpr size_t kMax = hn::MaxLanes(D());
  int64_t n_;
  alignas(64) Index from_[6 * kMax];
  alignas(64) Index taken_[6 * kMax];
  alignas(64) Index last_[kMax];
};

template <class T>
const Lanes<T>& lanes() {
  static const Lanes<T> l;
  return l;
}

template <class T>
HWY_INLINE T plus(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    return T(U(a) + U(b));
  } else {
    return a + b;
  }
}

template <class T>
void total(const void* from, int64_t n, void* result) {
  const T* x = static_cast<const T*>(from);
  const hn::ScalableTag<T> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  auto a = hn::Zero(d), b = hn::Zero(d), c = hn::Zero(d), e = hn::Zero(d);
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    a = hn::Add(a, hn::LoadU(d, x + i));
    b = hn::Add(b, hn::LoadU(d, x + i + lanes));
    c = hn::Add(c, hn::LoadU(d, x + i + 2 * lanes));
    e = hn::Add(e, hn::LoadU(d, x + i + 3 * lanes));
  }
  a = hn::Add(hn::Add(a, b), hn::Add(c, e));
  T sum = hn::GetLane(hn::SumOfLanes(d, a));
  for (; i < n; ++i) sum = plus(sum, x[i]);
  *static_cast<T*>(result) = sum;
}

template <class T, bool kReverse>
void write_rows(const T* x, int64_t n, T before, T* y) {
  const Lanes<T>& lane = lanes<T>();
  const hn::ScalableTag<T> d;
  const int64_t lanes = lane.count();
  auto at = [&](int64_t i) { return kReverse ? n - lanes - i : i; };
  auto load = [&](int64_t i) {
    auto v = hn::LoadU(d, x + at(i));
    if constexpr (kReverse) v = hn::Reverse(d, v);
    return lane.scan(v);
  };
  auto store = [&](hn::Vec<decltype(d)> v, int64_t i) {
    if constexpr (kReverse) v = hn::Reverse(d, v);
    hn::StoreU(v, d, y + at(i));
  };
  auto carry = hn::Set(d, before);
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    auto a = load(i), b = load(i + lanes);
    auto c = load(i + 2 * lanes), e = load(i + 3 * lanes);
    auto to_a = lane.last(a), to_c = lane.last(c);
    auto to_b = hn::Add(to_a, lane.last(b));
    auto to_e = hn::Add(to_c, lane.last(e));
    store(hn::Add(a, carry), i);
    store(hn::Add(b, hn::Add(carry, to_a)), i + lanes);
    store(hn::Add(c, hn::Add(carry, to_b)), i + 2 * lanes);
    store(hn::Add(e, hn::Add(carry, hn::Add(to_b, to_c))), i + 3 * lanes);
    carry = hn::Add(carry, hn::Add(to_b, to_e));
  }
  T sum = hn::GetLane(carry);
  for (; i < n; ++i) {
    const int64_t k = kReverse ? n - 1 - i : i;
    y[k] = sum = plus(sum, x[k]);
  }
}

template <class T>
void write(
    const void* x, int64_t n, bool reverse, const void* before, void* y) {
  const T* from = static_cast<const T*>(x);
  T* to = static_cast<T*>(y);
  const T sum = *static_cast<const T*>(before);
  reverse ? write_rows<T, true>(from, n, sum, to)
          : write_rows<T, false>(from, n, sum, to);
}

template <class T>
void next_row(const void* from, int64_t n, void* sums, void* to) {
  const T* x = static_cast<const T*>(from);
  T *s = static_cast<T*>(sums), *y = static_cast<T*>(to);
  const hn::ScalableTag<T> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto sum = hn::Add(hn::LoadU(d, s + i), hn::LoadU(d, x + i));
    hn::StoreU(sum, d, s + i);
    hn::StoreU(sum, d, y + i);
  }
  for (; i < n; ++i) y[i] = s[i] = plus(s[i], x[i]);
}

template <class T>
RunningSum sums() {
  return {total<T>, write<T>, next_row<T>};
}

RunningSum sum_of(Dtype dtype) {
  switch (dtype) {
    case float32:
      return sums<float>();
    case float64:
      return sums<double>();
    case int32:
    case uint32:
      return sums<int32_t>();
    case int64:
    case uint64:
      return sums<int64_t>();
    default:
      return {};
  }
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(sum_of);

RunningSum running_sum(Dtype dtype) {
  return HWY_DYNAMIC_DISPATCH(sum_of)(dtype);
}

}  // namespace treadle::backend::cpu
#endif  // HWY_ONCE
