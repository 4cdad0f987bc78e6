// Loads of floating types as lanes of the type that sums are kept in: float16
// and bfloat16 as float. No byte outside of the wanted elements is touched.
#include <algorithm>
#include <cstddef>
#include <type_traits>

#include <hwy/highway.h>

#include "treadle/base/half.h"

// Before a loop over constants whose body indexes arrays of vectors: at -O2 the
// compiler would keep the loop, and with it the arrays in memory.
#ifndef TREADLE_UNROLL
#ifdef __clang__
#define TREADLE_UNROLL _Pragma("unroll")
#else
#define TREADLE_UNROLL _Pragma("GCC unroll 16")
#endif
#endif

#if defined(TREADLE_BACKEND_CPU_FLOAT_LANES_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_FLOAT_LANES_INL_H_
#undef TREADLE_BACKEND_CPU_FLOAT_LANES_INL_H_
#else
#define TREADLE_BACKEND_CPU_FLOAT_LANES_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// What sums of T are kept in.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class D>
HWY_INLINE hn::Vec<D> load(D d, const hn::TFromD<D>* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const bfloat16_t* p) {
  const hn::Rebind<hwy::bfloat16_t, D> half;
  return hn::PromoteTo(
      d, hn::LoadU(half, reinterpret_cast<const hwy::bfloat16_t*>(p)));
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float16_t* p) {
  const hn::Rebind<hwy::float16_t, D> half;
  return hn::PromoteTo(
      d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(p)));
}

// The first `count` elements, zeros after them.
template <class D, class T>
HWY_INLINE hn::Vec<D> load_first(D d, const T* p, size_t count) {
#if !HWY_MEM_OPS_MIGHT_FAULT
  if constexpr (std::is_same_v<T, hn::TFromD<D>>) {
    return hn::MaskedLoad(hn::FirstN(d, count), d, p);
  }
#endif
  HWY_ALIGN T some[hn::MaxLanes(d)] = {};
  std::copy_n(p, count, some);
  return load(d, some);
}

template <class D, class V>
HWY_INLINE void store_first(D d, V v, hn::TFromD<D>* p, size_t count) {
#if HWY_MEM_OPS_MIGHT_FAULT
  HWY_ALIGN hn::TFromD<D> some[hn::MaxLanes(d)];
  hn::Store(v, d, some);
  std::copy_n(some, count, p);
#else
  hn::BlendedStore(v, hn::FirstN(d, count), d, p);
#endif
}
template <class D, class V>
HWY_INLINE void store(D d, V v, hn::TFromD<D>* p) {
  hn::StoreU(v, d, p);
}

// Halves are rounded to nearest, ties to even. Highway's own conversion to
// bfloat16 cuts bits off.
template <class D, class V>
HWY_INLINE void store(D, V v, bfloat16_t* p) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> dh;
  const auto u = hn::BitCast(du, v);
  const auto high = hn::ShiftRight<16>(u);
  const auto odd = hn::And(high, hn::Set(du, 1u));
  const auto rounded =
      hn::ShiftRight<16>(hn::Add(hn::Add(u, hn::Set(du, 0x7fffu)), odd));
  const auto nan = hn::RebindMask(du, hn::IsNaN(v));
  const auto quiet = hn::Or(high, hn::Set(du, 0x40u));
  hn::StoreU(hn::TruncateTo(dh, hn::IfThenElse(nan, quiet, rounded)),
             dh,
             reinterpret_cast<uint16_t*>(p));
}
template <class D, class V>
HWY_INLINE void store([[maybe_unused]] D d, V v, float16_t* p) {
#if HWY_TARGET <= HWY_AVX2 || HWY_ARCH_ARM_A64
  const hn::Rebind<hwy::float16_t, D> half;
  hn::StoreU(hn::DemoteTo(half, v), half, reinterpret_cast<hwy::float16_t*>(p));
#else
  HWY_ALIGN float some[hn::MaxLanes(d)];
  hn::Store(v, d, some);
  for (size_t i = 0; i < hn::Lanes(d); ++i) p[i] = float16_t(some[i]);
#endif
}
template <class D, class V, class T>
requires(sizeof(T) == 2) HWY_INLINE
    void store_first(D d, V v, T* p, size_t count) {
  T some[hn::MaxLanes(d)];
  store(d, v, some);
  std::copy_n(some, count, p);
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
