#include "treadle/backend/cpu/arg_search.h"

#include <algorithm>
#include <limits>

#include "treadle/backend/cpu/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/arg_search.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;

// The keys of n elements, in vectors and one by one.
template <class T, bool kFloating>
class Keys {
 public:
  using V = hn::Vec<Tag<T>>;

  explicit Keys(const KeyOrder& order) : order_(order) {}

  HWY_INLINE V load(const T* p) const {
    const Tag<T> d;
    V bits = hn::LoadU(d, p);
    V mask = hn::Set(d, T(order_.mask));
    if constexpr (!kFloating) return hn::Xor(bits, mask);
    V size = hn::And(bits, hn::Set(d, std::numeric_limits<T>::max()));
    V sign = hn::Xor(hn::ShiftRight<sizeof(T) * 8 - 1>(bits), mask);
    V key = hn::Sub(hn::Xor(size, sign), sign);
    return hn::IfThenElse(hn::Gt(size, hn::Set(d, T(order_.infinity))),
                          hn::Set(d, std::numeric_limits<T>::max()),
                          key);
  }
  HWY_INLINE T load_one(const T* p) const {
    T mask = T(order_.mask);
    if constexpr (!kFloating) return T(*p ^ mask);
    T size = T(*p & std::numeric_limits<T>::max());
    T sign = T((*p >> (8 * sizeof(T) - 1)) ^ mask);
    T key = T((size ^ sign) - sign);
    return size > T(order_.infinity) ? std::numeric_limits<T>::max() : key;
  }

 private:
  KeyOrder order_;
};

template <class T, bool kFloating>
int64_t largest(const void* elements, int64_t n, const KeyOrder& order) {
  const T* p = static_cast<const T*>(elements);
  const Keys<T, kFloating> keys(order);
  const Tag<T> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  T best = keys.load_one(p);
  int64_t i = 0;
  if (n >= 2 * lanes) {
    auto m0 = keys.load(p), m1 = keys.load(p + lanes);
    for (i = 2 * lanes; i + 2 * lanes <= n; i += 2 * lanes) {
      m0 = hn::Max(m0, keys.load(p + i));
      m1 = hn::Max(m1, keys.load(p + i + lanes));
    }
    HWY_ALIGN T last[HWY_MAX_BYTES / sizeof(T)];
    hn::Store(hn::Max(m0, m1), d, last);
    for (int64_t k = 0; k < lanes; ++k) best = std::max(best, last[k]);
  }
  for (; i < n; ++i) best = std::max(best, keys.load_one(p + i));
  return best;
}

template <class T, bool kFloating>
int64_t first_with(const void* elements,
                   int64_t n,
                   int64_t key,
                   const KeyOrder& order) {
  const T* p = static_cast<const T*>(elements);
  const Keys<T, kFloating> keys(order);
  const Tag<T> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto found =
        hn::FindFirstTrue(d, hn::Eq(keys.load(p + i), hn::Set(d, T(key))));
    if (found >= 0) return i + int64_t(found);
  }
  for (; i < n; ++i) {
    if (keys.load_one(p + i) == T(key)) return i;
  }
  return n;
}

template <class T, bool kFloating>
void meet_row(const void* elements,
              int64_t n,
              uint32_t row,
              void* best_keys,
              uint32_t* best_rows,
              const KeyOrder& order) {
  const T* p = static_cast<const T*>(elements);
  T* best = static_cast<T*>(best_keys);
  const Keys<T, kFloating> keys(order);
  int64_t i = 0;
  if constexpr (sizeof(T) == 4) {
    const Tag<T> d;
    const hn::RebindToUnsigned<Tag<T>> du;
    const int64_t lanes = int64_t(hn::Lanes(d));
    for (; i + lanes <= n; i += lanes) {
      auto key = keys.load(p + i), old = hn::LoadU(d, best + i);
      auto better = hn::Gt(key, old);
      hn::StoreU(hn::IfThenElse(better, key, old), d, best + i);
      auto rows = hn::IfThenElse(hn::RebindMask(du, better),
                                 hn::Set(du, row),
                                 hn::LoadU(du, best_rows + i));
      hn::StoreU(rows, du, best_rows + i);
    }
  }
  for (; i < n; ++i) {
    T key = keys.load_one(p + i);
    best_rows[i] = key > best[i] ? row : best_rows[i];
    best[i] = std::max(key, best[i]);
  }
}

template <class T, bool kFloating>
void short_rows(const void* elements,
                int64_t rows,
                int64_t n,
                uint32_t* places,
                const KeyOrder& order) {
  const T* p = static_cast<const T*>(elements);
  const Keys<T, kFloating> keys(order);
  for (int64_t r = 0; r < rows; ++r, p += n) {
    T best = keys.load_one(p);
    int64_t place = 0;
    for (int64_t i = 1; i < n; ++i) {
      T key = keys.load_one(p + i);
      place = key > best ? i : place;
      best = key > best ? key : best;
    }
    places[r] = uint32_t(place);
  }
}

template <class T, bool kFloating>
KeySearch search() {
  return {largest<T, kFloating>,
          first_with<T, kFloating>,
          short_rows<T, kFloating>,
          meet_row<T, kFloating>,
          {}};
}

KeySearch search_of(Dtype dtype) {
  switch (dtype) {
    case float16:
    case bfloat16:
      return search<int16_t, true>();
    case float32:
      return search<int32_t, true>();
    case float64:
      return search<int64_t, true>();
    default:
      break;
  }
  switch (size_of(dtype)) {
    case 1:
      return search<int8_t, false>();
    case 2:
      return search<int16_t, false>();
    case 4:
      return search<int32_t, false>();
    default:
      return search<int64_t, false>();
  }
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(search_of);

KeySearch key_search(Dtype dtype, ArgKind kind) {
  KeySearch s = HWY_DYNAMIC_DISPATCH(search_of)(dtype);
  switch (dtype) {
    case float16:
      s.order.infinity = 0x7c00;
      break;
    case bfloat16:
      s.order.infinity = 0x7f80;
      break;
    case float32:
      s.order.infinity = 0x7f800000;
      break;
    case float64:
      s.order.infinity = 0x7ff0000000000000;
      break;
    default:
      // Without a sign, the highest bit of the element counts the other way.
      if (!is_signed_integer(dtype)) {
        s.order.mask =
            std::numeric_limits<int64_t>::min() >> (64 - 8 * size_of(dtype));
      }
  }
  if (kind == ArgKind::min) s.order.mask = ~s.order.mask;
  return s;
}

}  // namespace treadle::backend::cpu
#endif  // HWY_ONCE
