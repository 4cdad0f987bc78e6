// The lane vocabulary of ops/elementwise.def for plain scalars: what vm:: means
// in code that handles one element at a time. vm-inl.h says the same words for
// SIMD vectors.
//
// Lane types: float, double, complex64_t, uint32_t, uint64_t and Wrap<int32_t>,
// Wrap<int64_t>, whose overflow wraps. float functions are computed in double
// and rounded once (error below 0.51 ULP wherever std:: is good to 1e-13);
// double ones are those of std::, or built from them with an error of a few
// ULP.
#pragma once

#include <bit>
#include <cmath>
#include <complex>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "treadle/backend/cpu/convert.h"
#include "treadle/base/dtype.h"
#include "treadle/plan/tape.h"

namespace treadle::backend::cpu {

// A signed integer that wraps around instead of overflowing.
template <class T>
struct Wrap {
  using U = std::make_unsigned_t<T>;
  T v;

  constexpr Wrap() = default;
  constexpr explicit Wrap(T x) : v(x) {}
  friend constexpr Wrap operator+(Wrap a, Wrap b) {
    return Wrap(T(U(a.v) + U(b.v)));
  }
  friend constexpr Wrap operator-(Wrap a, Wrap b) {
    return Wrap(T(U(a.v) - U(b.v)));
  }
  friend constexpr Wrap operator*(Wrap a, Wrap b) {
    return Wrap(T(U(a.v) * U(b.v)));
  }
  friend constexpr Wrap operator&(Wrap a, Wrap b) { return Wrap(a.v & b.v); }
  friend constexpr Wrap operator|(Wrap a, Wrap b) { return Wrap(a.v | b.v); }
  friend constexpr Wrap operator^(Wrap a, Wrap b) { return Wrap(a.v ^ b.v); }
};

// The C++ type of a lane.
template <plan::Lane L>
struct LaneTypeOf;
template <>
struct LaneTypeOf<plan::Lane::f32> {
  using type = float;
};
template <>
struct LaneTypeOf<plan::Lane::f64> {
  using type = double;
};
template <>
struct LaneTypeOf<plan::Lane::i32> {
  using type = Wrap<int32_t>;
};
template <>
struct LaneTypeOf<plan::Lane::i64> {
  using type = Wrap<int64_t>;
};
template <>
struct LaneTypeOf<plan::Lane::u32> {
  using type = uint32_t;
};
template <>
struct LaneTypeOf<plan::Lane::u64> {
  using type = uint64_t;
};
template <>
struct LaneTypeOf<plan::Lane::c64> {
  using type = complex64_t;
};
template <plan::Lane L>
using LaneType = typename LaneTypeOf<L>::type;

template <class T>
inline constexpr bool is_wrap = false;
template <class T>
inline constexpr bool is_wrap<Wrap<T>> = true;

template <class T>
concept RealLane = std::same_as<T, float> || std::same_as<T, double>;
template <class T>
concept SignedLane = is_wrap<T>;
template <class T>
concept UnsignedLane = std::same_as<T, uint32_t> || std::same_as<T, uint64_t>;
template <class T>
concept IntLane = SignedLane<T> || UnsignedLane<T>;
template <class T>
concept ComplexLane = std::same_as<T, complex64_t>;

namespace vm {

using Complex = std::complex<double>;

// The integer inside an integer lane.
template <IntLane T>
constexpr auto bits(T x) {
  if constexpr (SignedLane<T>) {
    return x.v;
  } else {
    return x;
  }
}

template <class T>
T constant(T, double v) {
  if constexpr (SignedLane<T>) {
    return T(decltype(T::v)(v));
  } else {
    return T(v);
  }
}

// ---- order
// ----------------------------------------------------------------------

template <class T>
uint32_t eq(T a, T b) {
  if constexpr (IntLane<T>) {
    return bits(a) == bits(b);
  } else {
    return a == b;
  }
}
template <class T>
uint32_t ne(T a, T b) {
  return eq(a, b) ^ 1u;
}
// Complex numbers are ordered by real part, then by imaginary part.
template <class T>
uint32_t lt(T a, T b) {
  if constexpr (ComplexLane<T>) {
    return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
  } else if constexpr (IntLane<T>) {
    return bits(a) < bits(b);
  } else {
    return a < b;
  }
}
template <class T>
uint32_t le(T a, T b) {
  if constexpr (ComplexLane<T>) {
    return a.real() < b.real() ||
           (a.real() == b.real() && a.imag() <= b.imag());
  } else if constexpr (IntLane<T>) {
    return bits(a) <= bits(b);
  } else {
    return a <= b;
  }
}
template <class T>
bool is_nan(T x) {
  if constexpr (IntLane<T>) {
    return false;
  } else {
    return x != x;
  }
}
template <class T>
T max(T a, T b) {
  return is_nan(a) || lt(b, a) ? a : b;
}
template <class T>
T min(T a, T b) {
  return is_nan(a) || lt(a, b) ? a : b;
}
template <class T>
T select(uint32_t c, T a, T b) {
  return c != 0 ? a : b;
}

// ---- arithmetic
// -----------------------------------------------------------------

template <class T>
T neg(T x) {
  if constexpr (RealLane<T> || ComplexLane<T>) {
    return -x;
  } else {
    return constant(x, 0) - x;
  }
}
template <class T>
auto abs(T x) {
  if constexpr (ComplexLane<T>) {
    return float(std::hypot(double(x.real()), double(x.imag())));
  } else if constexpr (RealLane<T>) {
    return std::fabs(x);
  } else if constexpr (SignedLane<T>) {
    return x.v < 0 ? neg(x) : x;
  } else {
    return x;
  }
}
template <class T>
T sign(T x) {
  if constexpr (ComplexLane<T>) {
    if (x == T(0)) return x;
    const Complex z(x);
    return T(z / std::abs(z));
  } else if constexpr (RealLane<T>) {
    return x > 0 ? T(1) : x < 0 ? T(-1) : is_nan(x) ? x : T(0);
  } else if constexpr (SignedLane<T>) {
    return T((x.v > 0) - (x.v < 0));
  } else {
    return x != 0;
  }
}
template <class T>
T conj(T x) {
  if constexpr (ComplexLane<T>) {
    return std::conj(x);
  } else {
    return x;
  }
}
template <class T>
T floor(T x) {
  if constexpr (RealLane<T>) {
    return std::floor(x);
  } else {
    return x;
  }
}
template <class T>
T ceil(T x) {
  if constexpr (RealLane<T>) {
    return std::ceil(x);
  } else {
    return x;
  }
}
template <class T>
T rint(T x) {
  if constexpr (ComplexLane<T>) {
    return T(std::nearbyint(x.real()), std::nearbyint(x.imag()));
  } else if constexpr (RealLane<T>) {
    return std::nearbyint(x);
  } else {
    return x;
  }
}
// Integers: x / 0 is 0, and the most negative number by -1 wraps.
template <class T>
T floor_div(T a, T b) {
  if constexpr (RealLane<T>) {
    return std::floor(a / b);
  } else if constexpr (SignedLane<T>) {
    if (b.v == 0) return T(0);
    if (b.v == -1) return neg(a);
    return T(a.v / b.v - (a.v % b.v != 0 && (a.v < 0) != (b.v < 0)));
  } else {
    return b == 0 ? 0 : a / b;
  }
}
// The sign is that of b. Integers: the remainder by 0 is 0.
template <class T>
T remainder(T a, T b) {
  if constexpr (RealLane<T>) {
    const T r = std::fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  } else if constexpr (SignedLane<T>) {
    if (b.v == 0 || b.v == -1) return T(0);
    const auto r = a.v % b.v;
    return T(r != 0 && (r < 0) != (b.v < 0) ? r + b.v : r);
  } else {
    return b == 0 ? 0 : a % b;
  }
}

// ---- integers
// -------------------------------------------------------------------

inline uint32_t logical_not(uint32_t x) { return x == 0; }
template <IntLane T>
T bit_not(T x) {
  return T(~bits(x));
}
// Shift counts are taken modulo the width of the lane.
template <IntLane T>
T shl(T a, T b) {
  using U = std::make_unsigned_t<decltype(bits(a))>;
  return T(decltype(bits(a))(U(bits(a)) << (U(bits(b)) % (8 * sizeof(U)))));
}
template <IntLane T>
T shr(T a, T b) {
  using U = std::make_unsigned_t<decltype(bits(a))>;
  return T(bits(a) >> (U(bits(b)) % (8 * sizeof(U))));
}

// ---- functions
// ------------------------------------------------------------------

// f at x: float and complex64 are computed in double and rounded once.
#define TREADLE_LANE_FUNCTION(name, f) \
  template <class T>                   \
  T name(T x) {                        \
    if constexpr (ComplexLane<T>) {    \
      return T(f(Complex(x)));         \
    } else {                           \
      return T(f(double(x)));          \
    }                                  \
  }

inline double rsqrt_of(double x) { return 1 / std::sqrt(x); }
inline Complex rsqrt_of(const Complex& z) { return 1.0 / std::sqrt(z); }
inline Complex log2_of(const Complex& z) {
  return std::log(z) * 1.4426950408889634;
}
inline double log2_of(double x) { return std::log2(x); }
inline double expm1_of(double x) { return std::expm1(x); }
inline Complex expm1_of(const Complex& z) {
  const double s = std::sin(z.imag() / 2);
  return {std::expm1(z.real()) * std::cos(z.imag()) - 2 * s * s,
          std::exp(z.real()) * std::sin(z.imag())};
}
inline double log1p_of(double x) { return std::log1p(x); }
inline Complex log1p_of(const Complex& z) {
  const double x = z.real(), y = z.imag();
  return {0.5 * std::log1p(x * (2 + x) + y * y), std::atan2(y, 1 + x)};
}
inline double sigmoid_of(double x) {
  const double e = std::exp(-std::fabs(x));
  return (x < 0 ? e : 1) / (1 + e);
}
inline Complex sigmoid_of(const Complex& z) {
  if (z.real() >= 0) return 1.0 / (1.0 + std::exp(-z));
  const Complex e = std::exp(z);
  return e / (1.0 + e);
}
// Inverse error function, good to 2 ULP of double: a start good to 1e-7, then
// two steps of Halley's method, on erfc where erf loses its digits.
double erfinv_of(double x);

TREADLE_LANE_FUNCTION(sqrt, std::sqrt)
TREADLE_LANE_FUNCTION(rsqrt, rsqrt_of)
TREADLE_LANE_FUNCTION(exp, std::exp)
TREADLE_LANE_FUNCTION(expm1, expm1_of)
TREADLE_LANE_FUNCTION(log, std::log)
TREADLE_LANE_FUNCTION(log2, log2_of)
TREADLE_LANE_FUNCTION(log10, std::log10)
TREADLE_LANE_FUNCTION(log1p, log1p_of)
TREADLE_LANE_FUNCTION(sin, std::sin)
TREADLE_LANE_FUNCTION(cos, std::cos)
TREADLE_LANE_FUNCTION(tan, std::tan)
TREADLE_LANE_FUNCTION(arcsin, std::asin)
TREADLE_LANE_FUNCTION(arccos, std::acos)
TREADLE_LANE_FUNCTION(arctan, std::atan)
TREADLE_LANE_FUNCTION(sinh, std::sinh)
TREADLE_LANE_FUNCTION(cosh, std::cosh)
TREADLE_LANE_FUNCTION(tanh, std::tanh)
TREADLE_LANE_FUNCTION(arcsinh, std::asinh)
TREADLE_LANE_FUNCTION(arccosh, std::acosh)
TREADLE_LANE_FUNCTION(arctanh, std::atanh)
TREADLE_LANE_FUNCTION(sigmoid, sigmoid_of)
#undef TREADLE_LANE_FUNCTION

template <RealLane T>
T erf(T x) {
  return T(std::erf(double(x)));
}
template <RealLane T>
T erfinv(T x) {
  return T(erfinv_of(double(x)));
}

// Integers: 0 for a negative exponent.
template <class T>
T pow(T a, T b) {
  if constexpr (ComplexLane<T>) {
    if (b == T(0)) return T(1);
    if (a == T(0))
      return b.real() > 0 ? T(0) : T(Complex(std::pow(Complex(a), Complex(b))));
    return T(std::pow(Complex(a), Complex(b)));
  } else if constexpr (RealLane<T>) {
    return T(std::pow(double(a), double(b)));
  } else {
    if constexpr (SignedLane<T>) {
      if (b.v < 0) return T(0);
    }
    T r = constant(a, 1);
    for (auto e = bits(b); e != 0; e >>= 1, a = a * a) {
      if (e & 1) r = r * a;
    }
    return r;
  }
}
template <RealLane T>
T logaddexp(T a, T b) {
  if (is_nan(a) || is_nan(b)) return a + b;
  const T m = max(a, b);
  if (std::isinf(m)) return m;  // both -inf, or one +inf
  const double r = m + std::log1p(std::exp(-std::fabs(double(a) - double(b))));
  // exp(a) + exp(b) is nearly 1, and the terms of the sum cancel: its distance
  // from 1 is kept in more digits, where the machine has them.
  if (!std::is_same_v<T, float> && m < 0 && std::fabs(r) < -0.5 * m) {
    using Wide = long double;
    const Wide low = std::exp(Wide(min(a, b)));
    return T(std::log1p(std::expm1(Wide(m)) + low));
  }
  return T(r);
}
template <RealLane T>
T arctan2(T a, T b) {
  return T(std::atan2(double(a), double(b)));
}

}  // namespace vm

// convert() between element types and lanes.
template <class To, class From>
To convert_lane(From x) {
  if constexpr (is_wrap<From>) {
    return convert_lane<To>(x.v);
  } else if constexpr (is_wrap<To>) {
    return To(convert<decltype(To::v)>(x));
  } else {
    return convert<To>(x);
  }
}

}  // namespace treadle::backend::cpu
