// Half types from and to vectors of floats, rounded to nearest, ties to even.
#include "treadle/backend/cpu/vm-inl.h"

#if defined(TREADLE_BACKEND_CPU_HALVES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_HALVES_INL_H_
#undef TREADLE_BACKEND_CPU_HALVES_INL_H_
#else
#define TREADLE_BACKEND_CPU_HALVES_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {

// The half type as Highway's conversions want it, in memory of bits.
using D32 = Tag<float>;
using DU32 = Tag<uint32_t>;
using DU16 = hn::Rebind<uint16_t, DU32>;
using DF16 = hn::Rebind<hwy::float16_t, D32>;

#if HWY_TARGET == HWY_SSE4
// As half::float16_bits, for vectors: this set has no instruction for it.
HWY_INLINE hn::Vec<DU16> to_float16(Raw<float> x) {
  const DU32 du;
  const D32 df;
  const auto bits = hn::BitCast(du, x);
  const auto sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000u));
  const auto mag = hn::And(bits, hn::Set(du, 0x7fffffffu));
  const auto odd = hn::And(hn::ShiftRight<13>(mag), hn::Set(du, 1u));
  const auto normal = hn::ShiftRight<13>(
      hn::Sub(hn::Add(hn::Add(mag, hn::Set(du, 0xfffu)), odd),
              hn::Set(du, 0x38000000u)));
  const auto half = hn::Set(df, 0.5f);
  const auto small =
      hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(df, mag), half)),
              hn::BitCast(du, half));
  auto r = hn::IfThenElse(hn::Lt(mag, hn::Set(du, 0x38800000u)), small, normal);
  r = hn::IfThenElse(
      hn::Gt(mag, hn::Set(du, 0x477fefffu)), hn::Set(du, 0x7c00u), r);
  r = hn::IfThenElse(
      hn::Gt(mag, hn::Set(du, 0x7f800000u)), hn::Set(du, 0x7e00u), r);
  return hn::TruncateTo(DU16(), hn::Or(r, sign));
}
HWY_INLINE Raw<float> from_float16(hn::Vec<DU16> h) {
  const DU32 du;
  const D32 df;
  const auto u = hn::PromoteTo(du, h);
  const auto sign = hn::ShiftLeft<16>(hn::And(u, hn::Set(du, 0x8000u)));
  const auto mag = hn::ShiftLeft<13>(hn::And(u, hn::Set(du, 0x7fffu)));
  // 2^112 moves the exponent to its place, subnormals included.
  const auto scaled = hn::BitCast(
      du,
      hn::Mul(hn::BitCast(df, mag), hn::BitCast(df, hn::Set(du, 0x77800000u))));
  const auto r = hn::IfThenElse(hn::Gt(mag, hn::Set(du, 0x0f7fffffu)),
                                hn::Or(mag, hn::Set(du, 0x7f800000u)),
                                scaled);
  return hn::BitCast(df, hn::Or(r, sign));
}
#else
HWY_INLINE hn::Vec<DU16> to_float16(Raw<float> x) {
  return hn::BitCast(DU16(), hn::DemoteTo(DF16(), x));
}
HWY_INLINE Raw<float> from_float16(hn::Vec<DU16> h) {
  return hn::PromoteTo(D32(), hn::BitCast(DF16(), h));
}
#endif

// Highway's own demotion cuts bits off; this rounds to nearest even.
HWY_INLINE hn::Vec<DU16> to_bfloat16(Raw<float> x) {
  const DU32 du;
  const auto u = hn::BitCast(du, x);
  const auto high = hn::ShiftRight<16>(u);
  const auto odd = hn::And(high, hn::Set(du, 1u));
  const auto rounded =
      hn::ShiftRight<16>(hn::Add(hn::Add(u, hn::Set(du, 0x7fffu)), odd));
  const auto nan = hn::RebindMask(du, hn::Not(hn::Eq(x, x)));
  return hn::TruncateTo(
      DU16(), hn::IfThenElse(nan, hn::Or(high, hn::Set(du, 0x40u)), rounded));
}
// Two vectors of halves as one: the upper halves of the rounded floats.
HWY_INLINE hn::Vec<Tag<uint16_t>> to_bfloat16(Raw<float> lo, Raw<float> hi) {
  const DU32 du;
  const Tag<uint16_t> d16;
  const auto rounded = [&](Raw<float> x) HWY_ATTR {
    const auto u = hn::BitCast(du, x);
    const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(du, 1u));
    const auto up = hn::Add(u, hn::Add(odd, hn::Set(du, 0x7fffu)));
    const auto number = hn::RebindMask(du, hn::Eq(x, x));
    const auto quiet = hn::Or(u, hn::Set(du, 0x400000u));
    return hn::BitCast(d16, hn::IfThenElse(number, up, quiet));
  };
  return hn::ConcatOdd(d16, rounded(hi), rounded(lo));
}
HWY_INLINE Raw<float> from_bfloat16(hn::Vec<DU16> h) {
  return hn::BitCast(D32(), hn::ShiftLeft<16>(hn::PromoteTo(DU32(), h)));
}

}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
