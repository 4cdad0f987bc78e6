// The rest of the lane vocabulary for vectors of floats: functions that compute
// in double vectors of half the lanes ("wide") and round once, which gives
// 0.501 ULP over the whole line with plain formulas. Division of 32-bit
// integers is wide too.
#include <cmath>
#include <cstdint>

#include "treadle/backend/cpu/vm-inl.h"

#if defined(TREADLE_BACKEND_CPU_VM_WIDE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_VM_WIDE_INL_H_
#undef TREADLE_BACKEND_CPU_VM_WIDE_INL_H_
#else
#define TREADLE_BACKEND_CPU_VM_WIDE_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {

// The float function whose value is F::of(x) of double vectors.
template <class F>
HWY_INLINE Vec<float> wide(Vec<float> x) {
  const Tag<double> dd;
  const hn::Rebind<float, Tag<double>> dh;
  const auto lo = F::of(hn::PromoteTo(dd, hn::LowerHalf(dh, x.v)));
  const auto hi = F::of(hn::PromoteTo(dd, hn::UpperHalf(dh, x.v)));
  return {
      hn::Combine(Tag<float>(), hn::DemoteTo(dh, hi), hn::DemoteTo(dh, lo))};
}
template <class F>
HWY_INLINE Vec<float> wide(Vec<float> a, Vec<float> b) {
  const Tag<double> dd;
  const hn::Rebind<float, Tag<double>> dh;
  const auto lo = F::of(hn::PromoteTo(dd, hn::LowerHalf(dh, a.v)),
                        hn::PromoteTo(dd, hn::LowerHalf(dh, b.v)));
  const auto hi = F::of(hn::PromoteTo(dd, hn::UpperHalf(dh, a.v)),
                        hn::PromoteTo(dd, hn::UpperHalf(dh, b.v)));
  return {
      hn::Combine(Tag<float>(), hn::DemoteTo(dh, hi), hn::DemoteTo(dh, lo))};
}

// e^x for doubles in [-700, 700], to 2^-50; NaN stays.
HWY_INLINE Raw<double> exp_wide(Raw<double> x) {
  const auto e = nearest<double>(x, num<double>(1.4426950408889634));
  const auto r = minus_ln2(x, e.n);
  const auto q = poly<double>(r,
                              0.5,
                              0.16666666666609878,
                              0.04166666666647908,
                              0.008333333371644464,
                              0.001388888895808183,
                              0.000198411841706175,
                              2.480147775121525e-05,
                              2.7635443977469076e-06,
                              2.763573659365921e-07);
  const auto p = hn::Add(hn::MulAdd(hn::Mul(r, r), q, r), num<double>(1));
  const Tag<int64_t> di;
  const auto s =
      hn::ShiftLeft<52>(hn::Add(hn::BitCast(di, e.bits), hn::Set(di, 1023)));
  return hn::Mul(p, hn::BitCast(Tag<double>(), s));
}

// x = m 2^e with m in [sqrt(1/2), sqrt(2)), for normal positive x.
struct Split {
  Raw<double> m, e;
};
HWY_INLINE Split split(Raw<double> x) {
  const Tag<int64_t> di;
  const Tag<double> dd;
  const auto root = hn::Set(di, 0x3fe6a09e667f3bcd);
  const auto i = hn::Sub(hn::BitCast(di, x), root);
  const auto m = hn::Add(hn::And(i, hn::Set(di, 0x000fffffffffffff)), root);
  // The exponent plus 2^52 + 1023, in the mantissa of a double; the shift is
  // logical, so that 1024 negative values are kept apart by the added bias.
  const Tag<uint64_t> du;
  const auto biased = hn::ShiftRight<52>(
      hn::BitCast(du, hn::Add(i, hn::Set(di, int64_t(1023) << 52))));
  const auto e =
      hn::BitCast(dd, hn::Or(biased, hn::Set(du, 0x4330000000000000)));
  return {hn::BitCast(dd, m),
          hn::Sub(e, num<double>(4503599627370496.0 + 1023))};
}

// log(m 2^e) = base_e * e + log(m) * base_m, to 2^-50; the logarithm of 0 is
// -inf, of a negative number NaN.
HWY_INLINE Raw<double> log_wide(Raw<double> x, double base_e, double base_m) {
  const auto [m, e] = split(x);
  const auto one = num<double>(1);
  const auto f = hn::Sub(m, one);
  const auto s = hn::Div(f, hn::Add(m, one));
  const auto z = hn::Mul(s, s);
  const auto q = poly<double>(z,
                              0.33333333333333676,
                              0.1999999999970373,
                              0.14285714372073177,
                              0.1111109918900956,
                              0.09091787593721917,
                              0.07656877616401768,
                              0.07399535554821009);
  const auto s2 = hn::Add(s, s);
  const auto log_m = hn::MulAdd(hn::Mul(s2, z), q, s2);
  auto r =
      hn::MulAdd(e, num<double>(base_e), hn::Mul(log_m, num<double>(base_m)));
  const auto zero = hn::Zero(Tag<double>());
  const auto other =
      hn::IfThenElse(hn::Eq(x, zero),
                     hn::Neg(infinity<double>()),
                     hn::IfThenElse(hn::Lt(x, zero), quiet_nan<double>(), x));
  const auto usual = hn::And(hn::Gt(x, zero), hn::Lt(x, infinity<double>()));
  return hn::IfThenElse(usual, r, other);
}
HWY_INLINE Raw<double> log_wide(Raw<double> x) {
  return log_wide(x, 0.6931471805599453, 1);
}

// log(1 + x) for x > -1: the rounding of 1 + x is made good by the quotient.
HWY_INLINE Raw<double> log1p_wide(Raw<double> x) {
  const auto one = num<double>(1);
  const auto u = hn::Add(x, one);
  const auto d = hn::Sub(u, one);
  const auto r = hn::Mul(log_wide(u), hn::Div(x, d));
  const auto exact = hn::Or(hn::Eq(d, x), hn::Not(hn::Lt(hn::Abs(x), one)));
  return hn::IfThenElse(hn::Eq(d, hn::Zero(Tag<double>())),
                        x,
                        hn::IfThenElse(exact, log_wide(u), r));
}

// atan of doubles, to 2^-48.
HWY_INLINE Raw<double> atan_wide(Raw<double> x) {
  const auto one = num<double>(1);
  const auto a = hn::Abs(x);
  // atan(a) = pi/2 + atan(-1/a) above tan(3 pi/8), pi/4 + atan((a-1)/(a+1))
  // above tan(pi/8).
  const auto high = hn::Gt(a, num<double>(2.414213562373095));
  const auto mid = hn::Gt(a, num<double>(0.4142135623730951));
  const auto top = hn::IfThenElse(
      high, num<double>(-1), hn::IfThenElse(mid, hn::Sub(a, one), a));
  const auto bottom =
      hn::IfThenElse(high, a, hn::IfThenElse(mid, hn::Add(a, one), one));
  const auto t = hn::Div(top, bottom);
  const auto z = hn::Mul(t, t);
  const auto q = poly<double>(z,
                              -0.333333333332604,
                              0.1999999998271989,
                              -0.14285712873721101,
                              0.11111054387568538,
                              -0.09089613864086614,
                              0.07674298404371689,
                              -0.06510082024138604,
                              0.05036750901092723,
                              -0.025463582515899197);
  const auto p = hn::MulAdd(hn::Mul(t, z), q, t);
  const auto base =
      hn::IfThenElse(high,
                     num<double>(1.5707963267948966),
                     hn::IfThenElseZero(mid, num<double>(0.7853981633974483)));
  return hn::CopySign(hn::Add(base, p), x);
}

namespace vm {

struct WideLog2 {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    return log_wide(x, 1, 1.4426950408889634);
  }
};
struct WideLog10 {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    return log_wide(x, 0.3010299956639812, 0.4342944819032518);
  }
};
struct WideLog1p {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto small = hn::Lt(hn::Abs(x), num<double>(0x1p-20));
    const auto r = log_wide(hn::Add(x, num<double>(1)));
    return hn::IfThenElse(
        small, hn::NegMulAdd(hn::Mul(x, num<double>(0.5)), x, x), r);
  }
};
HWY_INLINE Vec<float> log2(Vec<float> x) { return wide<WideLog2>(x); }
HWY_INLINE Vec<float> log10(Vec<float> x) { return wide<WideLog10>(x); }
HWY_INLINE Vec<float> log1p(Vec<float> x) { return wide<WideLog1p>(x); }

struct WideTan {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto [r, bits] = quadrant(x);
    const auto z = hn::Mul(r, r);
    const auto s = hn::MulAdd(hn::Mul(r, z),
                              poly<double>(z,
                                           -0.16666666666666632,
                                           0.00833333333332237,
                                           -0.0001984126982977115,
                                           2.7557313678660007e-06,
                                           -2.5050755960437383e-08,
                                           1.5896666448468812e-10),
                              r);
    const auto c =
        hn::MulAdd(hn::Mul(z, z),
                   poly<double>(z,
                                0.0416666666666666,
                                -0.0013888888888874064,
                                2.4801587289443475e-05,
                                -2.7557314340659063e-07,
                                2.0875721623780497e-09,
                                -1.1359559337387838e-11),
                   hn::NegMulAdd(z, num<double>(0.5), num<double>(1)));
    const Tag<int64_t> di;
    const auto odd = hn::MaskFromVec(
        hn::BitCast(Tag<double>(),
                    hn::Neg(hn::And(hn::BitCast(di, bits), hn::Set(di, 1)))));
    return hn::Div(hn::IfThenElse(odd, hn::Neg(c), s),
                   hn::IfThenElse(odd, s, c));
  }
};
inline float scalar_tan(float x) {
  return static_cast<float>(std::tan(double(x)));
}
HWY_INLINE Vec<float> tan(Vec<float> x) {
  const auto inside = hn::Le(hn::Abs(x.v), num<float>(kQuadrantLimit));
  auto y = wide<WideTan>(x).v;
  if (HWY_UNLIKELY(!hn::AllTrue(Tag<float>(), inside))) {
    y = hn::IfThenElse(inside, y, lane_by_lane<float>(scalar_tan, x.v));
  }
  return {hn::IfThenElse(hn::Eq(x.v, hn::Zero(Tag<float>())), x.v, y)};  // -0
}

struct WideArcsin {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto one = num<double>(1);
    const auto c = hn::Sqrt(hn::Mul(hn::Sub(one, x), hn::Add(one, x)));
    return atan_wide(hn::Div(x, c));
  }
};
struct WideArccos {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto one = num<double>(1);
    const auto t =
        atan_wide(hn::Sqrt(hn::Div(hn::Sub(one, x), hn::Add(one, x))));
    return hn::Add(t, t);
  }
};
struct WideArctan {
  static HWY_INLINE Raw<double> of(Raw<double> x) { return atan_wide(x); }
};
HWY_INLINE Vec<float> arcsin(Vec<float> x) { return wide<WideArcsin>(x); }
HWY_INLINE Vec<float> arccos(Vec<float> x) { return wide<WideArccos>(x); }
HWY_INLINE Vec<float> arctan(Vec<float> x) { return wide<WideArctan>(x); }

struct WideArctan2 {
  static HWY_INLINE Raw<double> of(Raw<double> y, Raw<double> x) {
    const auto zero = hn::Zero(Tag<double>());
    const auto inf = infinity<double>();
    const auto ax = hn::Abs(x), ay = hn::Abs(y);
    // 0/0 counts as 0 and inf/inf as 1.
    auto q = hn::Div(ay, ax);
    q = hn::IfThenElse(
        hn::Eq(ay, zero), hn::IfThenElse(hn::Eq(x, x), zero, x), q);
    q = hn::IfThenElse(
        hn::And(hn::Eq(ay, inf), hn::Eq(ax, inf)), num<double>(1), q);
    const auto t = atan_wide(q);
    const auto left = hn::Lt(hn::CopySign(num<double>(1), x), zero);
    const auto r =
        hn::IfThenElse(left, hn::Sub(num<double>(3.141592653589793), t), t);
    return hn::CopySign(r, y);
  }
};
HWY_INLINE Vec<float> arctan2(Vec<float> a, Vec<float> b) {
  return wide<WideArctan2>(a, b);
}

HWY_INLINE Raw<double> clamp_wide(Raw<double> x, double limit) {
  return hn::Min(num<double>(limit), hn::Max(num<double>(-limit), x));
}
struct WideSinh {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto e = exp_wide(clamp_wide(x, 200));
    const auto r =
        hn::Mul(num<double>(0.5), hn::Sub(e, hn::Div(num<double>(1), e)));
    const auto z = hn::Mul(x, x);
    const auto series = hn::Mul(x, poly<double>(z, 1, 1.0 / 6, 1.0 / 120));
    return hn::IfThenElse(hn::Lt(hn::Abs(x), num<double>(0x1p-8)), series, r);
  }
};
struct WideCosh {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto e = exp_wide(clamp_wide(x, 200));
    return hn::Mul(num<double>(0.5), hn::Add(e, hn::Div(num<double>(1), e)));
  }
};
struct WideArcsinh {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto a = hn::Abs(x);
    const auto root = hn::Sqrt(hn::MulAdd(a, a, num<double>(1)));
    const auto z = hn::Mul(x, x);
    const auto series = hn::Mul(x, poly<double>(z, 1, -1.0 / 6, 3.0 / 40));
    return hn::IfThenElse(hn::Lt(a, num<double>(0x1p-8)),
                          series,
                          hn::CopySign(log_wide(hn::Add(a, root)), x));
  }
};
struct WideArccosh {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto one = num<double>(1);
    const auto root = hn::Sqrt(hn::Mul(hn::Sub(x, one), hn::Add(x, one)));
    return hn::IfThenElse(
        hn::Lt(x, one), quiet_nan<double>(), log_wide(hn::Add(x, root)));
  }
};
struct WideArctanh {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto one = num<double>(1);
    const auto q = hn::Div(hn::Add(one, x), hn::Sub(one, x));
    const auto z = hn::Mul(x, x);
    const auto series = hn::Mul(x, poly<double>(z, 1, 1.0 / 3, 1.0 / 5));
    return hn::IfThenElse(hn::Lt(hn::Abs(x), num<double>(0x1p-8)),
                          series,
                          hn::Mul(num<double>(0.5), log_wide(q)));
  }
};
HWY_INLINE Vec<float> sinh(Vec<float> x) { return wide<WideSinh>(x); }
HWY_INLINE Vec<float> cosh(Vec<float> x) { return wide<WideCosh>(x); }
HWY_INLINE Vec<float> arcsinh(Vec<float> x) { return wide<WideArcsinh>(x); }
HWY_INLINE Vec<float> arccosh(Vec<float> x) { return wide<WideArccosh>(x); }
HWY_INLINE Vec<float> arctanh(Vec<float> x) { return wide<WideArctanh>(x); }

struct WideLogaddexp {
  static HWY_INLINE Raw<double> of(Raw<double> a, Raw<double> b) {
    const auto m = hn::Max(a, b);
    const auto d = hn::Neg(hn::Abs(hn::Sub(a, b)));
    const auto r =
        hn::Add(m, log1p_wide(exp_wide(hn::Max(num<double>(-700), d))));
    // Equal infinities, whose difference is NaN; a NaN of either comes through
    // a + b.
    const auto s = hn::Add(a, b);
    const auto infinite = hn::Eq(hn::Abs(m), infinity<double>());
    return hn::IfThenElse(
        hn::Eq(s, s),
        hn::IfThenElse(infinite, m, r),
        hn::IfThenElse(hn::And(hn::Eq(a, a), hn::Eq(b, b)), m, s));
  }
};
// 1.4 ULP where the larger is not negative: nothing cancels there, and float
// will do. m + log(1 + y) with y = e^x, x the difference; its logarithm is
// 2 artanh(y / (2 + y)). x, y and the quotient are kept with what they lose by
// rounding.
HWY_INLINE Vec<float> logaddexp(Vec<float> a, Vec<float> b) {
#if HWY_NATIVE_FMA
  const Tag<float> d;
  const auto zero = hn::Zero(d), one = num<float>(1), two = num<float>(2);
  const auto m = hn::Max(a.v, b.v), low = hn::Min(a.v, b.v);
  const auto x = hn::Sub(low, m);
  const auto back = hn::Sub(x, low);
  auto lost = hn::Sub(hn::Sub(low, hn::Sub(x, back)), hn::Add(m, back));
  lost = hn::IfThenElseZero(hn::Lt(hn::Abs(lost), one), lost);  // NaN: of inf
  const auto clamped = hn::Max(num<float>(-104), x);
  const auto e = nearest<float>(clamped, num<float>(1.4426950408889634));
  const auto r = minus_ln2(clamped, e.n);
  const auto p1 = poly<float>(r,
                              1,
                              0x1.fffffcp-2,
                              0x1.55549p-3,
                              0x1.5558f4p-5,
                              0x1.123a6ap-7,
                              0x1.6a2348p-10);
  const auto p = hn::MulAdd(p1, r, one);
  const auto p_low = hn::MulAdd(p, lost, hn::MulAdd(p1, r, hn::Sub(one, p)));
  const auto y = times_power_of_two(p, e);
  const auto y_low = times_power_of_two(p_low, e);
  const auto sum = hn::Add(y, two);
  const auto sum_low = hn::Add(hn::Sub(y, hn::Sub(sum, two)), y_low);
  const auto s = hn::Div(y, sum);
  const auto rest =
      hn::Add(hn::NegMulAdd(s, sum, y), hn::NegMulAdd(s, sum_low, y_low));
  // 1 / (2 + y) is (1 - s) / 2, and twice the quotient is wanted.
  const auto z = hn::Mul(s, s);
  const auto q = poly<float>(z,
                             0x1.555558p-1,
                             0x1.999706p-2,
                             0x1.25006ep-2,
                             0x1.b78ad2p-3,
                             0x1.ef36b2p-3);
  const auto log_low =
      hn::MulAdd(rest, hn::Sub(one, s), hn::Mul(hn::Mul(s, z), q));
  const auto result = hn::Add(m, hn::Add(hn::Add(s, s), log_low));
  const auto both = hn::Add(a.v, b.v);  // NaN if one of them is
  const auto usual = hn::And(hn::And(hn::Ge(m, zero), hn::Eq(both, both)),
                             hn::Lt(m, infinity<float>()));
  if (HWY_LIKELY(hn::AllTrue(d, usual))) return {result};
  return {hn::IfThenElse(usual, result, wide<WideLogaddexp>(a, b).v)};
#else  // what is lost cannot be told
  return wide<WideLogaddexp>(a, b);
#endif
}

// 0.7 ULP: x times a polynomial in w = -log(1 - x^2), or in its root.
struct WideErfinv {
  static HWY_INLINE Raw<double> of(Raw<double> x) {
    const auto one = num<double>(1);
    const auto w = hn::Neg(log_wide(hn::Mul(hn::Sub(one, x), hn::Add(one, x))));
    const auto near = poly<double>(hn::Sub(w, num<double>(3)),
                                   1.6235420064132118,
                                   0.2416304020909538,
                                   -0.005738135019551425,
                                   -0.0008361750572281339,
                                   0.00019506143523719463,
                                   -1.2722678511342886e-05,
                                   -1.7483078924266269e-06,
                                   4.5251755350265825e-07,
                                   -2.3538765637979496e-08,
                                   -5.980653164202022e-09,
                                   1.08130721437609e-09,
                                   2.222290956720695e-11,
                                   -1.5040862635367943e-11);
    const auto far = poly<double>(hn::Sub(hn::Sqrt(w), num<double>(3.3)),
                                  3.1341615189361645,
                                  1.005769197321823,
                                  0.004844529632524932,
                                  -0.0032944347550008164,
                                  0.002092899823392639,
                                  -0.0014111705840957132,
                                  0.0008735110550659971,
                                  -0.00036332827833137157,
                                  -1.874728127849662e-05,
                                  7.267979657025659e-05);
    const auto r =
        hn::Mul(x, hn::IfThenElse(hn::Lt(w, num<double>(6)), near, far));
    const auto edge = hn::Eq(hn::Abs(x), one);
    return hn::IfThenElse(edge, hn::Mul(x, infinity<double>()), r);
  }
};
HWY_INLINE Vec<float> erfinv(Vec<float> x) { return wide<WideErfinv>(x); }

// a^b = 2^(b log2 |a|), with the cases of C's pow.
struct WidePow {
  static HWY_INLINE Raw<double> of(Raw<double> a, Raw<double> b) {
    const auto zero = hn::Zero(Tag<double>());
    const auto one = num<double>(1);
    const auto half = num<double>(0.5);
    const auto mag = hn::Abs(a);
    const auto t = hn::Mul(b, log_wide(mag, 1, 1.4426950408889634));
    auto r =
        exp_wide(hn::Mul(clamp_wide(t, 400), num<double>(0.6931471805599453)));
    const auto whole = hn::Eq(hn::Round(b), b);
    const auto hb = hn::Mul(b, half);
    const auto odd = hn::And(whole, hn::Ne(hn::Round(hb), hb));
    const auto sign =
        hn::IfThenElseZero(odd, hn::And(a, hn::Set(Tag<double>(), -0.0)));
    const auto undefined = hn::And(hn::And(hn::Lt(a, zero), hn::Not(whole)),
                                   hn::Lt(mag, infinity<double>()));
    const auto unit =
        hn::Or(hn::Eq(b, zero), hn::And(hn::Eq(mag, one), hn::Eq(b, b)));
    r = hn::IfThenElse(unit, one, r);
    r = hn::Xor(r, sign);
    r = hn::IfThenElse(undefined, quiet_nan<double>(), r);
    return hn::IfThenElse(hn::Eq(a, one), one, r);
  }
};
HWY_INLINE Vec<float> pow(Vec<float> a, Vec<float> b) {
  return wide<WidePow>(a, b);
}

// Exact. The quotient is exact enough below 2^29; beyond, fmod takes over.
struct WideRemainder {
  static HWY_INLINE Raw<double> of(Raw<double> a, Raw<double> b) {
    return hn::NegMulAdd(hn::Floor(hn::Div(a, b)), b, a);
  }
};
inline float scalar_remainder(float a, float b) {
  const float r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
HWY_INLINE Vec<float> remainder(Vec<float> a, Vec<float> b) {
  const auto q = hn::Abs(hn::Div(a.v, b.v));
  const auto usual = hn::And(hn::Lt(q, num<float>(0x1p28)),
                             hn::Lt(hn::Abs(b.v), infinity<float>()));
  const auto y = wide<WideRemainder>(a, b).v;
  if (HWY_LIKELY(hn::AllTrue(Tag<float>(), usual))) return {y};
  return {hn::IfThenElse(
      usual, y, lane_by_lane<float>(scalar_remainder, a.v, b.v))};
}

// Division of 32-bit integers, exact: a quotient of two of them is further from
// the next whole number than its rounding in double moves it. By 0 gives 0.
HWY_INLINE Raw<double> double_of(hn::Vec<hn::Rebind<int32_t, Tag<double>>> x) {
  return hn::PromoteTo(Tag<double>(), x);
}
HWY_INLINE Raw<double> double_of(hn::Vec<hn::Rebind<uint32_t, Tag<double>>> x) {
  // As the low bits of 2^52.
  const Tag<uint64_t> du;
  const auto bits =
      hn::Or(hn::PromoteTo(du, x), hn::Set(du, 0x4330000000000000));
  return hn::Sub(hn::BitCast(Tag<double>(), bits), num<double>(0x1p52));
}
// The low 32 bits of a whole number below 2^51, which wraps -2^31 / -1.
HWY_INLINE auto low_bits(Raw<double> x) {
  const hn::Rebind<uint32_t, Tag<double>> dh;
  const auto magic = hn::Add(x, num<double>(0x1.8p52));
  return hn::TruncateTo(dh, hn::BitCast(Tag<uint64_t>(), magic));
}
struct WideQuotient {
  static HWY_INLINE Raw<double> of(Raw<double> a, Raw<double> b) {
    return hn::Floor(hn::Div(a, b));
  }
};
template <class F, class T>
HWY_INLINE Vec<T> wide_integer(Vec<T> a, Vec<T> b) {
  const Tag<T> d;
  const hn::Rebind<T, Tag<double>> dh;
  const auto lo = F::of(double_of(hn::LowerHalf(dh, a.v)),
                        double_of(hn::LowerHalf(dh, b.v)));
  const auto hi = F::of(double_of(hn::UpperHalf(dh, a.v)),
                        double_of(hn::UpperHalf(dh, b.v)));
  const auto y =
      hn::BitCast(d, hn::Combine(Tag<uint32_t>(), low_bits(hi), low_bits(lo)));
  return {hn::IfThenZeroElse(hn::Eq(b.v, hn::Zero(d)), y)};
}
HWY_INLINE Vec<int32_t> floor_div(Vec<int32_t> a, Vec<int32_t> b) {
  return wide_integer<WideQuotient>(a, b);
}
HWY_INLINE Vec<uint32_t> floor_div(Vec<uint32_t> a, Vec<uint32_t> b) {
  return wide_integer<WideQuotient>(a, b);
}
HWY_INLINE Vec<int32_t> remainder(Vec<int32_t> a, Vec<int32_t> b) {
  return wide_integer<WideRemainder>(a, b);
}
HWY_INLINE Vec<uint32_t> remainder(Vec<uint32_t> a, Vec<uint32_t> b) {
  return wide_integer<WideRemainder>(a, b);
}

}  // namespace vm
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
