// The lane vocabulary of ops/elementwise.def for SIMD vectors, compiled once
// per instruction set (hwy/foreach_target.h includes this file again and
// again). Which rows it covers for which lane is said in rows-inl.h; the rest
// run on the scalars of vm.h.
//
// Accuracy is given as the largest error seen, in units in the last place of
// the correctly rounded result, over all floats of the range named; without a
// range it is the whole line with subnormals, infinities and NaN. The float
// functions here work in float; rarer ones are in vm_wide-inl.h.
#include <cmath>
#include <cstdint>
#include <limits>

#include "treadle/backend/cpu/lane_tables.h"

#include "hwy/highway.h"

#if defined(TREADLE_BACKEND_CPU_VM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_VM_INL_H_
#undef TREADLE_BACKEND_CPU_VM_INL_H_
#else
#define TREADLE_BACKEND_CPU_VM_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class T>
using Tag = hn::ScalableTag<T>;
template <class T>
using Raw = hn::Vec<Tag<T>>;

// One vector of lanes, and one of truth values.
template <class T>
struct Vec {
  Raw<T> v;
};
template <class T>
struct Mask {
  hn::Mask<Tag<T>> m;
};

#define TREADLE_VEC_OPERATOR(op)                      \
  template <class T>                                  \
  HWY_INLINE Vec<T> operator op(Vec<T> a, Vec<T> b) { \
    return {a.v op b.v};                              \
  }
TREADLE_VEC_OPERATOR(+)
TREADLE_VEC_OPERATOR(-)
TREADLE_VEC_OPERATOR(*)
TREADLE_VEC_OPERATOR(/)
TREADLE_VEC_OPERATOR(&)
TREADLE_VEC_OPERATOR(|)
TREADLE_VEC_OPERATOR(^)
#undef TREADLE_VEC_OPERATOR

// ---- tools
// ----------------------------------------------------------------------

template <class T>
HWY_INLINE Raw<T> num(double v) {
  return hn::Set(Tag<T>(), static_cast<T>(v));
}
template <class T>
HWY_INLINE Raw<T> quiet_nan() {
  return hn::Set(Tag<T>(), std::numeric_limits<T>::quiet_NaN());
}
template <class T>
HWY_INLINE Raw<T> infinity() {
  return hn::Set(Tag<T>(), std::numeric_limits<T>::infinity());
}

// c0 + c1 x + c2 x^2 + ..., by Horner's rule.
template <class T>
HWY_INLINE Raw<T> poly(Raw<T>, double c) {
  return num<T>(c);
}
template <class T, class... C>
HWY_INLINE Raw<T> poly(Raw<T> x, double c, double next, C... more) {
  return hn::MulAdd(poly<T>(x, next, more...), x, num<T>(c));
}

// f of every lane, one after another: for arguments too rare to vectorise.
template <class T>
HWY_NOINLINE Raw<T> lane_by_lane(T (*f)(T), Raw<T> x) {
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(x, Tag<T>(), lanes);
  for (T& l : lanes) l = f(l);
  return hn::Load(Tag<T>(), lanes);
}
template <class T>
HWY_NOINLINE Raw<T> lane_by_lane(T (*f)(T, T), Raw<T> a, Raw<T> b) {
  HWY_ALIGN T x[HWY_MAX_BYTES / sizeof(T)], y[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(a, Tag<T>(), x);
  hn::Store(b, Tag<T>(), y);
  for (size_t i = 0; i < HWY_MAX_BYTES / sizeof(T); ++i) x[i] = f(x[i], y[i]);
  return hn::Load(Tag<T>(), x);
}

// x to the nearest integer n, as a float and, in the low bits, as an integer:
// in a float of this size the last bit counts ones. |x| < 2^22 (float), 2^51
// (double).
template <class T>
struct Nearest {
  Raw<T> n, bits;
};
template <class T>
HWY_INLINE Nearest<T> nearest(Raw<T> x, Raw<T> factor) {
  const auto magic = num<T>(sizeof(T) == 4 ? 12582912.0 : 6755399441055744.0);
  const auto bits = hn::MulAdd(x, factor, magic);
  return {hn::Sub(bits, magic), bits};
}

// p * 2^n for an integer n in [-252, 252], rounded once.
HWY_INLINE Raw<float> times_power_of_two(Raw<float> p, Nearest<float> e) {
#if HWY_TARGET == HWY_AVX3
  return Raw<float>{_mm512_scalef_ps(p.raw, e.n.raw)};
#else
  // In two steps, because 2^n need not be a float.
  const Tag<int32_t> di;
  const Tag<float> df;
  const auto bias = hn::Set(di, 0x4b400000);
  const auto n = hn::Sub(hn::BitCast(di, e.bits), bias);
  const auto half = hn::ShiftRight<1>(n);
  const auto one = hn::Set(di, 127);
  const auto s1 = hn::BitCast(df, hn::ShiftLeft<23>(hn::Add(half, one)));
  const auto s2 =
      hn::BitCast(df, hn::ShiftLeft<23>(hn::Add(hn::Sub(n, half), one)));
  return hn::Mul(hn::Mul(p, s1), s2);
#endif
}

// x - n ln 2, n ln 2 in two parts of which n times the first is exact.
HWY_INLINE Raw<float> minus_ln2(Raw<float> x, Raw<float> n) {
  x = hn::NegMulAdd(n, num<float>(0.693359375), x);
  return hn::NegMulAdd(n, num<float>(-2.12194440e-4), x);
}
HWY_INLINE Raw<double> minus_ln2(Raw<double> x, Raw<double> n) {
  x = hn::NegMulAdd(n, num<double>(0x1.62e42fefap-1), x);
  return hn::NegMulAdd(n, num<double>(0x1.cf79abc9e3b39p-40), x);
}

// e^x for x in [-104, 89]; NaN stays.
HWY_INLINE Raw<float> exp_clamped(Raw<float> x) {
  const auto e = nearest<float>(x, num<float>(1.4426950408889634));
  const auto r = minus_ln2(x, e.n);
  // (e^r - 1 - r) / r^2 on |r| <= ln 2 / 2: minimax, error 2^-28 of e^r.
  const auto p = poly<float>(r,
                             1,
                             1,
                             0x1.fffffcp-2,
                             0x1.55549p-3,
                             0x1.5558f4p-5,
                             0x1.123a6ap-7,
                             0x1.6a2348p-10);
  return times_power_of_two(p, e);
}

// e^x - 1 for x in [-104, 127 ln 2].
HWY_INLINE Raw<float> expm1_clamped(Raw<float> x) {
  const auto e = nearest<float>(x, num<float>(1.4426950408889634));
  const auto r = minus_ln2(x, e.n);
  const auto q = poly<float>(r,
                             0.5,
                             0x1.555554p-3,
                             0x1.5554bp-5,
                             0x1.11118ap-7,
                             0x1.6d7296p-10,
                             0x1.a032c2p-13);
  const auto p = hn::MulAdd(hn::Mul(r, r), q, r);
  // 2^n e^r - 1 = 2^n (e^r - 1) + (2^n - 1)
  const Tag<int32_t> di;
  const auto n = hn::Sub(hn::BitCast(di, e.bits), hn::Set(di, 0x4b400000));
  const auto k = hn::Max(hn::Add(n, hn::Set(di, 127)), hn::Zero(di));
  const auto s = hn::BitCast(Tag<float>(), hn::ShiftLeft<23>(k));
  return hn::MulAdd(s, p, hn::Sub(s, num<float>(1)));
}

// x less the nearest multiple k of pi/2; the low two bits of `bits` are those
// of k. |x| <= 2^20, where k times the first two parts of pi/2 is exact.
struct Quadrant {
  Raw<double> r, bits;
};
HWY_INLINE Quadrant quadrant(Raw<double> x) {
  const auto k = nearest<double>(x, num<double>(0.6366197723675814));
  auto r = hn::NegMulAdd(k.n, num<double>(0x1.921fb544p0), x);
  r = hn::NegMulAdd(k.n, num<double>(0x1.0b4611a6p-34), r);
  r = hn::NegMulAdd(k.n, num<double>(0x1.3198a2e037073p-69), r);
  return {r, k.bits};
}
inline constexpr double kQuadrantLimit = 1048576;

// The same for floats, with k as an integer.
struct FloatQuadrant {
  Raw<float> r;
  hn::Vec<Tag<int32_t>> k;
};
HWY_INLINE FloatQuadrant quadrant(Raw<float> x) {
  const Tag<double> dd;
  const hn::Rebind<float, Tag<double>> dh;
  const hn::Rebind<uint32_t, Tag<double>> duh;
  const Tag<uint64_t> du;
  const auto lo = quadrant(hn::PromoteTo(dd, hn::LowerHalf(dh, x)));
  const auto hi = quadrant(hn::PromoteTo(dd, hn::UpperHalf(dh, x)));
  const auto r =
      hn::Combine(Tag<float>(), hn::DemoteTo(dh, hi.r), hn::DemoteTo(dh, lo.r));
  const auto k = hn::Combine(Tag<uint32_t>(),
                             hn::TruncateTo(duh, hn::BitCast(du, hi.bits)),
                             hn::TruncateTo(duh, hn::BitCast(du, lo.bits)));
  return {r, hn::BitCast(Tag<int32_t>(), k)};
}

// sin (shift 0) or cos (shift 1) of x, to 1.5 ULP. Lanes beyond the limit,
// where k has too many digits, take the scalar road.
HWY_INLINE Raw<float> sin_or_cos(Raw<float> x,
                                 int shift,
                                 float (*scalar)(float)) {
  const auto inside = hn::Le(hn::Abs(x), num<float>(kQuadrantLimit));
  const Tag<int32_t> di;
  const Tag<float> df;
  const auto [r, k0] = quadrant(x);
  const auto k = hn::Add(k0, hn::Set(di, shift));
  const auto z = hn::Mul(r, r);
  const auto s = hn::MulAdd(
      hn::Mul(r, z),
      poly<float>(
          z, -0x1.555556p-3, 0x1.11110ap-7, -0x1.a00f98p-13, 0x1.6cd734p-19),
      r);
  const auto c = hn::MulAdd(
      hn::Mul(z, z),
      poly<float>(
          z, 0x1.555556p-5, -0x1.6c16b8p-10, 0x1.a010dap-16, -0x1.241da2p-22),
      hn::NegMulAdd(z, num<float>(0.5), num<float>(1)));
  const auto odd =
      hn::MaskFromVec(hn::BitCast(df, hn::Neg(hn::And(k, hn::Set(di, 1)))));
  const auto sign =
      hn::BitCast(df, hn::ShiftLeft<30>(hn::And(k, hn::Set(di, 2))));
  const auto y = hn::Xor(hn::IfThenElse(odd, c, s), sign);
  if (HWY_LIKELY(hn::AllTrue(df, inside))) return y;
  return hn::IfThenElse(inside, y, lane_by_lane<float>(scalar, x));
}

// ---- the vocabulary
// ---------------------------------------------------------------

namespace vm {

template <class T>
HWY_INLINE Vec<T> constant(Vec<T>, double v) {
  return {num<T>(v)};
}

template <class T>
HWY_INLINE Mask<T> eq(Vec<T> a, Vec<T> b) {
  return {hn::Eq(a.v, b.v)};
}
template <class T>
HWY_INLINE Mask<T> ne(Vec<T> a, Vec<T> b) {
  return {hn::Not(hn::Eq(a.v, b.v))};  // Ne is false for NaN
}
template <class T>
HWY_INLINE Mask<T> lt(Vec<T> a, Vec<T> b) {
  return {hn::Lt(a.v, b.v)};
}
template <class T>
HWY_INLINE Mask<T> le(Vec<T> a, Vec<T> b) {
  if constexpr (hwy::IsFloat<T>()) {
    return {hn::Le(a.v, b.v)};
  } else {
    return {hn::Not(hn::Lt(b.v, a.v))};
  }
}
// x86's max is b when a lane of either is NaN.
template <class T>
HWY_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
  const auto m = hn::Max(a.v, b.v);
  if constexpr (hwy::IsFloat<T>()) {
    return {hn::IfThenElse(hn::Eq(a.v, a.v), m, a.v)};
  } else {
    return {m};
  }
}
template <class T>
HWY_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
  const auto m = hn::Min(a.v, b.v);
  if constexpr (hwy::IsFloat<T>()) {
    return {hn::IfThenElse(hn::Eq(a.v, a.v), m, a.v)};
  } else {
    return {m};
  }
}
template <class T>
HWY_INLINE Vec<T> select(Mask<T> c, Vec<T> a, Vec<T> b) {
  return {hn::IfThenElse(c.m, a.v, b.v)};
}

template <class T>
HWY_INLINE Vec<T> neg(Vec<T> x) {
  if constexpr (hwy::IsFloat<T>()) {
    return {hn::Neg(x.v)};
  } else {
    return {hn::Sub(hn::Zero(Tag<T>()), x.v)};
  }
}
template <class T>
HWY_INLINE Vec<T> abs(Vec<T> x) {
  if constexpr (hwy::IsSigned<T>()) {
    return {hn::Abs(x.v)};
  } else {
    return x;
  }
}
template <class T>
HWY_INLINE Vec<T> sign(Vec<T> x) {
  const auto zero = hn::Zero(Tag<T>());
  const auto one = num<T>(1);
  if constexpr (hwy::IsFloat<T>()) {
    // NaN and zeros stay.
    const auto unit = hn::Or(hn::Lt(x.v, zero), hn::Gt(x.v, zero));
    return {hn::IfThenElse(unit, hn::CopySign(one, x.v), x.v)};
  } else if constexpr (hwy::IsSigned<T>()) {
    return {hn::IfThenElse(hn::Gt(x.v, zero),
                           one,
                           hn::IfThenElseZero(hn::Lt(x.v, zero), num<T>(-1)))};
  } else {
    return {hn::IfThenElse(hn::Eq(x.v, zero), zero, one)};
  }
}
template <class T>
HWY_INLINE Vec<T> conj(Vec<T> x) {
  return x;
}
template <class T>
HWY_INLINE Vec<T> floor(Vec<T> x) {
  if constexpr (hwy::IsFloat<T>()) {
    return {hn::Floor(x.v)};
  } else {
    return x;
  }
}
template <class T>
HWY_INLINE Vec<T> ceil(Vec<T> x) {
  if constexpr (hwy::IsFloat<T>()) {
    return {hn::Ceil(x.v)};
  } else {
    return x;
  }
}
template <class T>
HWY_INLINE Vec<T> rint(Vec<T> x) {
  if constexpr (hwy::IsFloat<T>()) {
    return {hn::Round(x.v)};
  } else {
    return x;
  }
}
template <class T>
HWY_INLINE Vec<T> floor_div(Vec<T> a, Vec<T> b) {
  return {hn::Floor(hn::Div(a.v, b.v))};
}

HWY_INLINE Vec<uint32_t> logical_not(Vec<uint32_t> x) {
  const Tag<uint32_t> d;
  return {hn::IfThenElseZero(hn::Eq(x.v, hn::Zero(d)), hn::Set(d, 1))};
}
template <class T>
HWY_INLINE Vec<T> bit_not(Vec<T> x) {
  return {hn::Not(x.v)};
}
template <class T>
HWY_INLINE Vec<T> shl(Vec<T> a, Vec<T> b) {
  return {hn::Shl(a.v, hn::And(b.v, num<T>(8 * sizeof(T) - 1)))};
}
template <class T>
HWY_INLINE Vec<T> shr(Vec<T> a, Vec<T> b) {
  return {hn::Shr(a.v, hn::And(b.v, num<T>(8 * sizeof(T) - 1)))};
}

// 0.5 ULP.
template <class T>
HWY_INLINE Vec<T> sqrt(Vec<T> x) {
  return {hn::Sqrt(x.v)};
}
// 1.5 ULP: a quotient of a root, both rounded.
template <class T>
HWY_INLINE Vec<T> rsqrt(Vec<T> x) {
  return {hn::Div(num<T>(1), hn::Sqrt(x.v))};
}

// ---- float, computed in float

// The operand order of min and max lets NaN through.
HWY_INLINE Raw<float> clamp(double lo, Raw<float> x, double hi) {
  return hn::Min(num<float>(hi), hn::Max(num<float>(lo), x));
}

// 1.0 ULP.
HWY_INLINE Vec<float> exp(Vec<float> x) {
  return {exp_clamped(clamp(-104, x.v, 89))};
}

// 1.3 ULP.
HWY_INLINE Vec<float> expm1(Vec<float> x) {
  const auto small =
      hn::Lt(hn::Abs(x.v), num<float>(1e-8));  // keeps -0 and subnormals
  // Just below overflow 2^n is no float: e^x = (e^(x - ln 2)) * 2, where 1 is
  // lost.
  const auto big = hn::Gt(x.v, num<float>(80));
  auto r = expm1_clamped(clamp(-104, x.v, 80));
  if (HWY_UNLIKELY(!hn::AllFalse(Tag<float>(), big))) {
    r = hn::IfThenElse(big, exp(x).v, r);
  }
  return {hn::IfThenElse(small, x.v, r)};
}

// 0.7 ULP.
HWY_INLINE Vec<float> log(Vec<float> x) {
  const Tag<float> df;
  const Tag<int32_t> di;
  const auto zero = hn::Zero(df);
  const auto tiny = hn::Lt(x.v, num<float>(0x1p-126));
  const auto y = hn::IfThenElse(tiny, hn::Mul(x.v, num<float>(0x1p25)), x.v);
  const auto root = hn::Set(di, 0x3f3504f3);  // sqrt(1/2)
  const auto i = hn::Sub(hn::BitCast(di, y), root);
  const auto m =
      hn::BitCast(df, hn::Add(hn::And(i, hn::Set(di, 0x7fffff)), root));
  auto e = hn::ConvertTo(df, hn::ShiftRight<23>(i));
  e = hn::Sub(e, hn::IfThenElseZero(tiny, num<float>(25)));
  const auto f = hn::Sub(m, num<float>(1));
  // (log(1 + f) - f + f^2/2) / f^3: minimax, error 2^-30 of log(1 + f).
  const auto p = poly<float>(f,
                             0x1.555548p-2,
                             -0x1.000006p-2,
                             0x1.99a4bcp-3,
                             -0x1.555c5ap-3,
                             0x1.2336e6p-3,
                             -0x1.fc1f8p-4,
                             0x1.e6f5eep-4,
                             -0x1.de4f2p-4,
                             0x1.1462bp-4);
  const auto f2 = hn::Mul(f, f);
  auto r =
      hn::MulAdd(hn::Mul(f2, f), p, hn::Mul(e, num<float>(-2.12194440e-4)));
  r = hn::NegMulAdd(num<float>(0.5), f2, r);
  r = hn::MulAdd(e, num<float>(0.693359375), hn::Add(f, r));
  const auto other = hn::IfThenElse(
      hn::Eq(x.v, zero),
      hn::Neg(infinity<float>()),
      hn::IfThenElse(hn::Lt(x.v, zero), quiet_nan<float>(), x.v));
  const auto usual = hn::And(hn::Gt(x.v, zero), hn::Lt(x.v, infinity<float>()));
  return {hn::IfThenElse(usual, r, other)};
}

// 1.8 ULP. e^-|x| never overflows, and keeps the digits of small results.
HWY_INLINE Vec<float> sigmoid(Vec<float> x) {
  const auto one = num<float>(1);
  const auto e = exp_clamped(hn::Max(num<float>(-104), hn::Neg(hn::Abs(x.v))));
  const auto top = hn::IfThenElse(hn::Lt(x.v, hn::Zero(Tag<float>())), e, one);
  return {hn::Div(top, hn::Add(one, e))};
}

#if HWY_TARGET == HWY_AVX3
// Polynomials of 32 intervals, whose coefficients lie in pairs of registers.
HWY_INLINE Raw<float> entry(const float* table, Raw<float> index) {
  return Raw<float>{
      _mm512_permutex2var_ps(_mm512_load_ps(table),
                             _mm512_castps_si512(index.raw),  // low 5 bits
                             _mm512_load_ps(table + 16))};
}
// c0 + t (c1 + t (c2 + ...)), the constant term given.
#define TREADLE_INTERVAL_POLY(c0, name, index, t)                         \
  hn::MulAdd(                                                             \
      t,                                                                  \
      hn::MulAdd(t,                                                       \
                 hn::MulAdd(t,                                            \
                            hn::MulAdd(t,                                 \
                                       hn::MulAdd(t,                      \
                                                  entry(name##5, index),  \
                                                  entry(name##4, index)), \
                                       entry(name##3, index)),            \
                            entry(name##2, index)),                       \
                 entry(name##1, index)),                                  \
      c0)

// 1.0 ULP. Four intervals an octave from 1/8 on, one below.
HWY_INLINE Vec<float> tanh(Vec<float> x) {
  const Tag<int32_t> di;
  const Tag<float> df;
  const auto a = hn::Min(num<float>(9.4), hn::Abs(x.v));
  const auto octave =
      hn::Sub(hn::ShiftRight<21>(hn::BitCast(di, a)), hn::Set(di, 124 * 4 - 1));
  const auto i = hn::BitCast(df, hn::Max(octave, hn::Zero(di)));
  const auto t = hn::Sub(a, entry(kTanhAt, i));
  return {
      hn::CopySign(TREADLE_INTERVAL_POLY(entry(kTanh0, i), kTanh, i, t), x.v)};
}

// 0.9 ULP. Intervals of 1/8.
HWY_INLINE Vec<float> erf(Vec<float> x) {
  const auto a = hn::Min(num<float>(3.93), hn::Abs(x.v));
  const auto i = nearest<float>(a, num<float>(8)).bits;
  const auto t = hn::Sub(a, entry(kErfAt, i));
  const auto first = hn::Lt(a, num<float>(0.1875));
  const auto c0 = hn::IfThenElse(first, a, entry(kErf0, i));
  return {hn::CopySign(TREADLE_INTERVAL_POLY(c0, kErf, i, t), x.v)};
}
#undef TREADLE_INTERVAL_POLY
#else
// 2.1 ULP: (e^2x - 1) / (e^2x + 1).
HWY_INLINE Vec<float> tanh(Vec<float> x) {
  const auto a = hn::Abs(x.v);
  const auto e = expm1_clamped(hn::Min(num<float>(20), hn::Add(a, a)));
  const auto r = hn::Div(e, hn::Add(e, num<float>(2)));
  const auto small =
      hn::Lt(a, num<float>(1e-4));  // and keeps -0 and subnormals
  return {hn::IfThenElse(small, x.v, hn::CopySign(r, x.v))};
}

// 1.2 ULP: below 0.93 a polynomial, above 1 - e^p with p near log(erfc).
HWY_INLINE Vec<float> erf(Vec<float> x) {
  const auto a = hn::Abs(x.v);
  const auto z = hn::Mul(a, a);
  const auto q = poly<float>(z,
                             0x1.06eba8p-3,
                             -0x1.812742p-2,
                             0x1.ce2e0ap-4,
                             -0x1.b80e9p-6,
                             0x1.54c7f6p-8,
                             -0x1.aa3f2ep-11,
                             0x1.5cd4b2p-14);
  const auto near = hn::MulAdd(x.v, q, x.v);
  const auto b = hn::Min(num<float>(4), a);
  const auto p = poly<float>(b,
                             0x1.736249f8p-13,
                             -0x1.2128a6p+0,
                             -0x1.4442fep-1,
                             -0x1.bb9ebep-4,
                             0x1.9bd3d4p-6,
                             -0x1.11c3fap-8,
                             0x1.c8ec02p-12,
                             -0x1.63ca14p-16);
  const auto far = hn::CopySign(hn::Sub(num<float>(1), exp_clamped(p)), x.v);
  // Written so that NaN takes the first branch.
  return {hn::IfThenElse(hn::Ge(a, num<float>(0.93)), far, near)};
}
#endif

inline float scalar_sin(float x) {
  return static_cast<float>(std::sin(double(x)));
}
inline float scalar_cos(float x) {
  return static_cast<float>(std::cos(double(x)));
}
HWY_INLINE Vec<float> sin(Vec<float> x) {
  const auto y = sin_or_cos(x.v, 0, scalar_sin);
  return {hn::IfThenElse(hn::Eq(x.v, hn::Zero(Tag<float>())), x.v, y)};  // -0
}
HWY_INLINE Vec<float> cos(Vec<float> x) {
  return {sin_or_cos(x.v, 1, scalar_cos)};
}

}  // namespace vm
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
