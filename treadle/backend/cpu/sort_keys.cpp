#include "treadle/backend/cpu/sort_keys.h"

#include <limits>

#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/sort_keys.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <class I>
I infinity_of(Dtype dtype) {
  switch (dtype) {
    case float16:
      return I(0x7c00);
    case bfloat16:
      return I(0x7f80);
    case float32:
      return I(0x7f800000);
    default:
      return I(0x7ff0000000000000);
  }
}

// One lane of what the vectors do below.
template <class I>
I key_of(I bits, I infinity) {
  constexpr I most = std::numeric_limits<I>::max();
  if (I(bits & most) > infinity) return most;
  return I(bits ^ (bits < 0 ? most : 0));
}

template <class I>
void to_keys(const I* x, int64_t n, I infinity, I* y) {
  constexpr I most = std::numeric_limits<I>::max();
  const hn::ScalableTag<I> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  const auto size_mask = hn::Set(d, most), inf = hn::Set(d, infinity);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto bits = hn::LoadU(d, x + i);
    auto sign = hn::BroadcastSignBit(bits);
    auto nan = hn::Gt(hn::And(bits, size_mask), inf);
    auto key = hn::Xor(bits, hn::And(sign, size_mask));
    hn::StoreU(hn::IfThenElse(nan, size_mask, key), d, y + i);
  }
  for (; i < n; ++i) y[i] = key_of(x[i], infinity);
}

template <class I>
void from_keys(I* y, int64_t n) {
  constexpr I most = std::numeric_limits<I>::max();
  const hn::ScalableTag<I> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  const auto size_mask = hn::Set(d, most);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto key = hn::LoadU(d, y + i);
    auto sign = hn::BroadcastSignBit(key);
    hn::StoreU(hn::Xor(key, hn::And(sign, size_mask)), d, y + i);
  }
  for (; i < n; ++i) y[i] = I(y[i] ^ (y[i] < 0 ? most : 0));
}

template <class F>
void visit_width(Dtype dtype, F&& f) {
  switch (size_of(dtype)) {
    case 2:
      return f(int16_t());
    case 4:
      return f(int32_t());
    default:
      return f(int64_t());
  }
}

void all_keys(Dtype dtype, const void* x, int64_t n, void* y) {
  visit_width(dtype, [&]<class I>(I) {
    to_keys(
        static_cast<const I*>(x), n, infinity_of<I>(dtype), static_cast<I*>(y));
  });
}

void all_floats(Dtype dtype, void* y, int64_t n) {
  visit_width(dtype, [&]<class I>(I) { from_keys(static_cast<I*>(y), n); });
}

// The sign bit turned makes a signed key an unsigned one.
void pairs_of_floats(const int32_t* x, int64_t n, uint64_t* y) {
  const hn::ScalableTag<uint64_t> d64;
  const hn::Rebind<int32_t, decltype(d64)> d;
  const hn::Rebind<uint32_t, decltype(d64)> du;
  const int64_t lanes = int64_t(hn::Lanes(d64));
  const auto size_mask = hn::Set(d, INT32_MAX), inf = hn::Set(d, 0x7f800000);
  const auto turned = hn::Set(du, 0x80000000u);
  auto place = hn::Iota(d64, 0);
  const auto step = hn::Set(d64, uint64_t(lanes));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto bits = hn::LoadU(d, x + i);
    auto size = hn::And(bits, size_mask);
    auto key = hn::Xor(bits, hn::And(hn::BroadcastSignBit(bits), size_mask));
    key = hn::IfThenElse(hn::Gt(size, inf), size_mask, key);
    key = hn::IfThenZeroElse(hn::Eq(size, hn::Zero(d)), key);
    auto wide = hn::PromoteTo(d64, hn::Xor(hn::BitCast(du, key), turned));
    hn::StoreU(hn::Or(hn::ShiftLeft<32>(wide), place), d64, y + i);
    place = hn::Add(place, step);
  }
  for (; i < n; ++i) {
    int32_t key = (x[i] & INT32_MAX) == 0 ? 0 : key_of(x[i], 0x7f800000);
    y[i] = uint64_t(uint32_t(key) ^ 0x80000000u) << 32 | uint64_t(i);
  }
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(all_keys);
HWY_EXPORT(all_floats);
HWY_EXPORT(pairs_of_floats);

void float_keys(Dtype dtype, const void* x, int64_t n, void* keys) {
  HWY_DYNAMIC_DISPATCH(all_keys)(dtype, x, n, keys);
}

void floats_of_keys(Dtype dtype, void* keys, int64_t n) {
  HWY_DYNAMIC_DISPATCH(all_floats)(dtype, keys, n);
}

namespace {

template <class T>
void pairs_of(const void* from, int64_t n, uint64_t* y) {
  const T* x = static_cast<const T*>(from);
  // Counted from the type's lowest number, which makes signed ones unsigned.
  constexpr int64_t low = std::numeric_limits<T>::lowest();
  for (int64_t i = 0; i < n; ++i)
    y[i] = uint64_t(int64_t(x[i]) - low) << 32 | uint64_t(i);
}

void pairs_of_halves(Dtype dtype, const int16_t* x, int64_t n, uint64_t* y) {
  const int16_t infinity = dtype == float16 ? 0x7c00 : 0x7f80;
  for (int64_t i = 0; i < n; ++i) {
    const int size = x[i] & INT16_MAX;
    int key = size > infinity ? INT16_MAX : size == 0 ? 0 : x[i];
    if (key < 0) key = -size;
    y[i] = uint64_t(key - INT16_MIN) << 32 | uint64_t(i);
  }
}

}  // namespace

void keys_with_places(Dtype dtype, const void* x, int64_t n, uint64_t* y) {
  switch (dtype) {
    case float32:
      return HWY_DYNAMIC_DISPATCH(pairs_of_floats)(
          static_cast<const int32_t*>(x), n, y);
    case float16:
    case bfloat16:
      return pairs_of_halves(dtype, static_cast<const int16_t*>(x), n, y);
    case int32:
      return pairs_of<int32_t>(x, n, y);
    case uint32:
      return pairs_of<uint32_t>(x, n, y);
    case int16:
      return pairs_of<int16_t>(x, n, y);
    case uint16:
      return pairs_of<uint16_t>(x, n, y);
    case int8:
      return pairs_of<int8_t>(x, n, y);
    default:  // uint8, bool
      return pairs_of<uint8_t>(x, n, y);
  }
}

}  // namespace treadle::backend::cpu
#endif  // HWY_ONCE
