// Vector code of loads, stores and conversions: those between lanes of
// different widths or kinds that networks use; the rest stay scalar
// (moves_scalar.cpp).
#include <cmath>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/simd_targets.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/moves.cpp"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "treadle/backend/cpu/halves-inl.h"
#include "treadle/backend/cpu/rows-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

// A move is a struct with the tags of what it reads and writes, which have the
// same number of lanes, and the step from one to the other.
template <class M>
void move(size_t n, void* out, const void* in) {
  const typename M::From from;
  const typename M::To to;
  const size_t lanes = hn::Lanes(from);
  auto* x = static_cast<const hn::TFromD<decltype(from)>*>(in);
  auto* y = static_cast<hn::TFromD<decltype(to)>*>(out);
  for (; n >= lanes; n -= lanes, x += lanes, y += lanes) {
    hn::StoreU(M::of(hn::LoadU(from, x)), to, y);
  }
  if (n > 0) store_some(M::of(load_some(from, x, n)), to, y, n);
}

template <size_t kSize>
void copy(size_t n, void* out, const void* in) {
  std::memcpy(out, in, n * kSize);
}

#define TREADLE_MOVE(name, from, to, expression)                             \
  struct name {                                                              \
    using From = from;                                                       \
    using To = to;                                                           \
    static HWY_INLINE hn::Vec<To> of(hn::Vec<From> x) { return expression; } \
  };

template <class T, class D>
using As = hn::Rebind<T, D>;
using DI32 = Tag<int32_t>;
using DU64 = Tag<uint64_t>;
using DI64 = Tag<int64_t>;
using D64 = Tag<double>;

TREADLE_MOVE(LoadF16, DU16, D32, from_float16(x))
TREADLE_MOVE(LoadBf16, DU16, D32, from_bfloat16(x))
using LoadU8From = As<uint8_t, DU32>;
using LoadI8From = As<int8_t, DI32>;
using LoadI16From = As<int16_t, DI32>;
TREADLE_MOVE(LoadU8, LoadU8From, DU32, hn::PromoteTo(DU32(), x))
TREADLE_MOVE(LoadU16, DU16, DU32, hn::PromoteTo(DU32(), x))
TREADLE_MOVE(LoadI8, LoadI8From, DI32, hn::PromoteTo(DI32(), x))
TREADLE_MOVE(LoadI16, LoadI16From, DI32, hn::PromoteTo(DI32(), x))

// Truncation is the same for both signs, so signed stores read u32.
TREADLE_MOVE(StoreF16, D32, DU16, to_float16(x))
TREADLE_MOVE(StoreBf16, D32, DU16, to_bfloat16(x))
TREADLE_MOVE(StoreU8, DU32, LoadU8From, hn::TruncateTo(LoadU8From(), x))
TREADLE_MOVE(StoreU16, DU32, DU16, hn::TruncateTo(DU16(), x))
TREADLE_MOVE(StoreBool,
             DU32,
             LoadU8From,
             hn::TruncateTo(LoadU8From(), hn::Min(x, hn::Set(DU32(), 1u))))

TREADLE_MOVE(RoundF16, D32, D32, from_float16(to_float16(x)))
TREADLE_MOVE(RoundBf16, D32, D32, from_bfloat16(to_bfloat16(x)))
TREADLE_MOVE(WrapU8, DU32, DU32, hn::And(x, hn::Set(DU32(), 0xffu)))
TREADLE_MOVE(WrapU16, DU32, DU32, hn::And(x, hn::Set(DU32(), 0xffffu)))
TREADLE_MOVE(WrapI8, DI32, DI32, hn::ShiftRight<24>(hn::ShiftLeft<24>(x)))
TREADLE_MOVE(WrapI16, DI32, DI32, hn::ShiftRight<16>(hn::ShiftLeft<16>(x)))
TREADLE_MOVE(TruthU32, DU32, DU32, hn::Min(x, hn::Set(DU32(), 1u)))
TREADLE_MOVE(TruthF32,
             D32,
             DU32,
             Run<Mask<float>>::unwrap({hn::Not(hn::Eq(x, hn::Zero(D32())))}))
TREADLE_MOVE(I32ToF32, DI32, D32, hn::ConvertTo(D32(), x))

// Both halves convert exactly, so that the sum rounds once.
HWY_INLINE Raw<float> float_from_u32(hn::Vec<DU32> x) {
  const auto hi =
      hn::ConvertTo(D32(), hn::BitCast(DI32(), hn::ShiftRight<16>(x)));
  const auto lo = hn::ConvertTo(
      D32(), hn::BitCast(DI32(), hn::And(x, hn::Set(DU32(), 0xffffu))));
  return hn::Add(hn::Mul(hi, num<float>(65536)), lo);
}
TREADLE_MOVE(U32ToF32, DU32, D32, float_from_u32(x))

// convert.h: what does not fit, and NaN, becomes the smallest integer.
HWY_INLINE hn::Vec<DI32> i32_from_float(Raw<float> x) {
  const auto fits = hn::Lt(x, num<float>(2147483648.0));
  return hn::IfThenElse(hn::RebindMask(DI32(), fits),
                        hn::ConvertTo(DI32(), x),
                        hn::Set(DI32(), std::numeric_limits<int32_t>::min()));
}
TREADLE_MOVE(F32ToI32, D32, DI32, i32_from_float(x))

using HalfF32 = As<float, D64>;
using HalfI32 = As<int32_t, DI64>;
using HalfU32 = As<uint32_t, DU64>;
TREADLE_MOVE(F32ToF64, HalfF32, D64, hn::PromoteTo(D64(), x))
TREADLE_MOVE(F64ToF32, D64, HalfF32, hn::DemoteTo(HalfF32(), x))
using HalfI32OfF64 = As<int32_t, D64>;
TREADLE_MOVE(I32ToF64, HalfI32OfF64, D64, hn::PromoteTo(D64(), x))
TREADLE_MOVE(I32ToI64, HalfI32, DI64, hn::PromoteTo(DI64(), x))
TREADLE_MOVE(U32ToU64, HalfU32, DU64, hn::PromoteTo(DU64(), x))
TREADLE_MOVE(U64ToU32, DU64, HalfU32, hn::TruncateTo(HalfU32(), x))
#undef TREADLE_MOVE

void real_of_complex(size_t n, void* out, const void* in) {
  const D32 d;
  const size_t lanes = hn::Lanes(d);
  auto* x = static_cast<const float*>(in);
  auto* y = static_cast<float*>(out);
  for (; n >= lanes; n -= lanes, x += 2 * lanes, y += lanes) {
    Raw<float> re, im;
    hn::LoadInterleaved2(d, x, re, im);
    hn::StoreU(re, d, y);
  }
  for (size_t i = 0; i < n; ++i) y[i] = x[2 * i];
}

template <class T>
void expand_lanes(size_t rows, size_t n, T* y, const T* x) {
  const Tag<T> d;
  const size_t lanes = hn::Lanes(d);
  for (size_t r = 0; r < rows; ++r, y += n) {
    const auto v = hn::Set(d, x[r]);
    // What goes beyond the row is overwritten by the next.
    for (size_t i = 0; i < n; i += lanes) hn::StoreU(v, d, y + i);
  }
}
void expand(size_t rows, size_t n, size_t size, void* out, const void* in) {
  if (size == 4) {
    expand_lanes(
        rows, n, static_cast<uint32_t*>(out), static_cast<const uint32_t*>(in));
  } else {
    expand_lanes(
        rows, n, static_cast<uint64_t*>(out), static_cast<const uint64_t*>(in));
  }
}

void stream(size_t bytes, void* out, const void* in) {
  const Tag<uint8_t> d;
  const size_t lanes = hn::Lanes(d);
  auto* x = static_cast<const uint8_t*>(in);
  auto* y = static_cast<uint8_t*>(out);
  size_t head = (lanes - reinterpret_cast<uintptr_t>(y) % lanes) % lanes;
  if (head > bytes) head = bytes;
  std::memcpy(y, x, head);
  size_t i = head;
  for (; i + lanes <= bytes; i += lanes) {
    hn::Stream(hn::LoadU(d, x + i), d, y + i);
  }
  std::memcpy(y + i, x + i, bytes - i);
}

void fill(LaneTable* t) {
  using plan::Lane;
  const auto load = [t](Dtype d, MoveFn f) {
    t->load[static_cast<int>(d)] = f;
  };
  const auto store = [t](Dtype d, MoveFn f) {
    t->store[static_cast<int>(d)] = f;
  };
  const auto convert = [t](Lane l, Dtype d, MoveFn f) {
    t->convert[static_cast<int>(l)][static_cast<int>(d)] = f;
  };
  load(bool_, move<LoadU8>);
  load(uint8, move<LoadU8>);
  load(uint16, move<LoadU16>);
  load(int8, move<LoadI8>);
  load(int16, move<LoadI16>);
  load(float16, move<LoadF16>);
  load(bfloat16, move<LoadBf16>);
  store(bool_, move<StoreBool>);
  store(uint8, move<StoreU8>);
  store(int8, move<StoreU8>);
  store(uint16, move<StoreU16>);
  store(int16, move<StoreU16>);
  store(float16, move<StoreF16>);
  store(bfloat16, move<StoreBf16>);
  for (Dtype d : {uint32, int32, float32, uint64, int64, float64, complex64}) {
    const MoveFn f = size_of(d) == 4 ? copy<4> : copy<8>;
    load(d, f);
    store(d, f);
    convert(plan::lane_of(d), d, f);
  }
  convert(Lane::i32, uint32, copy<4>);
  convert(Lane::u32, int32, copy<4>);
  convert(Lane::i64, uint64, copy<8>);
  convert(Lane::u64, int64, copy<8>);
  convert(Lane::f32, float16, move<RoundF16>);
  convert(Lane::f32, bfloat16, move<RoundBf16>);
  convert(Lane::f32, bool_, move<TruthF32>);
  convert(Lane::f32, int32, move<F32ToI32>);
  convert(Lane::f32, float64, move<F32ToF64>);
  convert(Lane::f64, float32, move<F64ToF32>);
  convert(Lane::c64, float32, real_of_complex);
  convert(Lane::i32, float32, move<I32ToF32>);
  convert(Lane::i32, float64, move<I32ToF64>);
  convert(Lane::i32, int64, move<I32ToI64>);
  convert(Lane::i32, uint64, move<I32ToI64>);
  convert(Lane::u32, float32, move<U32ToF32>);
  convert(Lane::u32, int64, move<U32ToU64>);
  convert(Lane::u32, uint64, move<U32ToU64>);
  for (Lane l : {Lane::i32, Lane::u32}) {
    convert(l, bool_, move<TruthU32>);
    convert(l, uint8, move<WrapU8>);
    convert(l, uint16, move<WrapU16>);
    convert(l, int8, move<WrapI8>);
    convert(l, int16, move<WrapI16>);
  }
  for (Lane l : {Lane::i64, Lane::u64}) {
    convert(l, int32, move<U64ToU32>);
    convert(l, uint32, move<U64ToU32>);
  }
  t->expand = expand;
  t->stream = stream;
  t->fence = hwy::FlushStream;
  t->vector_bytes = hn::Lanes(Tag<uint8_t>());
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(fill);
void fill_moves(LaneTable* t) { HWY_DYNAMIC_DISPATCH(fill)(t); }

}  // namespace treadle::backend::cpu
#endif
