// The vocabulary of elementwise.def for the reference: plain C++, each function
// that is not exact computed in the next wider type and rounded once.
#pragma once

#include <cmath>
#include <complex>
#include <concepts>
#include <cstdint>
#include <type_traits>

namespace treadle::gpu_smoke::vm {

template <class T>
concept Real = std::floating_point<T>;
template <class T>
concept Integer = std::integral<T>;
template <class T>
concept Ordered = Real<T> || Integer<T>;
using Complex = std::complex<double>;

template <class T>
using Wider = std::conditional_t<std::is_same_v<T, float>, double, long double>;
using WiderComplex = std::complex<long double>;

template <class T>
T constant(T, double v) {
  return T(v);
}

#define TREADLE_FUNCTION(name, function) \
  template <Real T>                      \
  T name(T x) {                          \
    return T(function(Wider<T>(x)));     \
  }                                      \
  inline Complex name(Complex x) { return Complex(function(WiderComplex(x))); }
#define TREADLE_REAL_FUNCTION(name, function) \
  template <Real T>                           \
  T name(T x) {                               \
    return T(function(Wider<T>(x)));          \
  }
TREADLE_FUNCTION(exp, std::exp)
TREADLE_FUNCTION(log, std::log)
TREADLE_FUNCTION(log10, std::log10)
TREADLE_FUNCTION(sin, std::sin)
TREADLE_FUNCTION(cos, std::cos)
TREADLE_FUNCTION(tan, std::tan)
TREADLE_FUNCTION(arcsin, std::asin)
TREADLE_FUNCTION(arccos, std::acos)
TREADLE_FUNCTION(arctan, std::atan)
TREADLE_FUNCTION(sinh, std::sinh)
TREADLE_FUNCTION(cosh, std::cosh)
TREADLE_FUNCTION(tanh, std::tanh)
TREADLE_FUNCTION(arcsinh, std::asinh)
TREADLE_FUNCTION(arccosh, std::acosh)
TREADLE_FUNCTION(arctanh, std::atanh)
TREADLE_REAL_FUNCTION(expm1, std::expm1)
TREADLE_REAL_FUNCTION(log2, std::log2)
TREADLE_REAL_FUNCTION(log1p, std::log1p)
TREADLE_REAL_FUNCTION(erf, std::erf)
TREADLE_REAL_FUNCTION(floor, std::floor)
TREADLE_REAL_FUNCTION(ceil, std::ceil)
TREADLE_REAL_FUNCTION(rint, std::rint)
TREADLE_REAL_FUNCTION(abs, std::fabs)
#undef TREADLE_FUNCTION
#undef TREADLE_REAL_FUNCTION

template <Real T>
T sqrt(T x) {
  return std::sqrt(x);
}
inline Complex sqrt(Complex x) { return Complex(std::sqrt(WiderComplex(x))); }
inline Complex expm1(Complex x) {
  return Complex(std::exp(WiderComplex(x)) - 1.0L);
}
inline Complex log2(Complex x) {
  return Complex(std::log(WiderComplex(x)) * 1.44269504088896340736L);
}
inline Complex log1p(Complex x) {
  return Complex(std::log(1.0L + WiderComplex(x)));
}

// By bisection; erfc keeps the digits that erf loses near 1.
inline long double wide_erfinv(long double y) {
  const long double rest = 1 - std::fabs(y);
  if (!(rest > 0)) return y / rest;  // infinity at 1
  if (std::fabs(y) < 1e-12L) return 0.886226925452758013649L * y;
  long double low = 0, high = 7;
  for (int i = 0; i < 200 && low < high; ++i) {
    const long double x = (low + high) / 2;
    if (x == low || x == high) break;
    const bool below =
        x < 0.5L ? std::erf(x) < std::fabs(y) : std::erfc(x) > rest;
    (below ? low : high) = x;
  }
  return std::copysign(high, y);
}
template <Real T>
T erfinv(T x) {
  if (std::fabs(x) > 1) return T(NAN);
  if (x == 0) return x;
  return T(wide_erfinv((long double)x));
}

template <Real T>
T rsqrt(T x) {
  return T(1 / std::sqrt(Wider<T>(x)));
}
inline Complex rsqrt(Complex x) { return 1.0 / std::sqrt(x); }
template <Real T>
T sigmoid(T x) {
  return T(1 / (1 + std::exp(-Wider<T>(x))));
}
inline Complex sigmoid(Complex x) {
  return Complex(1.0L / (1.0L + std::exp(-WiderComplex(x))));
}
template <Real T>
T logaddexp(T a, T b) {
  using W = Wider<T>;
  if (std::isnan(a) || std::isnan(b)) return T(NAN);
  const W m = std::fmax(W(a), W(b));
  if (std::isinf(m)) return T(m);
  return T(m + std::log1p(std::exp(-std::fabs(W(a) - W(b)))));
}
template <Real T>
T arctan2(T a, T b) {
  return T(std::atan2(Wider<T>(a), Wider<T>(b)));
}
template <Real T>
T pow(T a, T b) {
  return T(std::pow(Wider<T>(a), Wider<T>(b)));
}
inline Complex pow(Complex a, Complex b) {
  return Complex(std::pow(WiderComplex(a), WiderComplex(b)));
}
template <Real T>
T floor_div(T a, T b) {
  return std::floor(a / b);
}
template <Real T>
T remainder(T a, T b) {
  const T r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

template <Integer T>
T abs(T x) {
  return x < 0 ? T(T(0) - x) : x;
}
inline double abs(Complex x) { return std::abs(x); }
template <Integer T>
T floor(T x) {
  return x;
}
template <Integer T>
T ceil(T x) {
  return x;
}
template <Integer T>
T rint(T x) {
  return x;
}
inline Complex rint(Complex x) {
  return {std::rint(x.real()), std::rint(x.imag())};
}
template <Integer T>
T bit_not(T x) {
  return ~x;
}
template <Integer T>
T floor_div(T a, T b) {
  if (b == 0) return 0;
  if (std::is_signed_v<T> && b == T(-1)) return T(T(0) - a);
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
template <Integer T>
T remainder(T a, T b) {
  if (b == 0 || (std::is_signed_v<T> && b == T(-1))) return 0;
  const T r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
template <Integer T>
T pow(T a, T b) {
  if (b < 0) return 0;
  T y = 1;
  for (; b; b >>= 1, a = T(a * a)) {
    if (b & 1) y = T(y * a);
  }
  return y;
}
template <Integer T>
T shl(T a, T b) {
  return T(uint64_t(a) << (b & T(8 * sizeof(T) - 1)));
}
template <Integer T>
T shr(T a, T b) {
  return T(a >> (b & T(8 * sizeof(T) - 1)));
}

template <class T>
T neg(T x) {
  return T(-x);
}
template <Ordered T>
T sign(T x) {
  return x != x ? x : T((x > 0) - (x < 0));
}
inline Complex sign(Complex x) { return x == 0.0 ? x : x / std::abs(x); }
template <Ordered T>
T conj(T x) {
  return x;
}
inline Complex conj(Complex x) { return std::conj(x); }
template <Integer T>
T logical_not(T x) {
  return x == 0;
}
template <class T>
T select(uint32_t a, T b, T c) {
  return a ? b : c;
}
template <class T>
uint32_t eq(T a, T b) {
  return a == b;
}
template <class T>
uint32_t ne(T a, T b) {
  return a != b;
}
template <Ordered T>
uint32_t lt(T a, T b) {
  return a < b;
}
template <Ordered T>
uint32_t le(T a, T b) {
  return a <= b;
}
inline uint32_t lt(Complex a, Complex b) {
  return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
}
inline uint32_t le(Complex a, Complex b) { return lt(a, b) || a == b; }
inline bool is_nan(Complex x) {
  return std::isnan(x.real()) || std::isnan(x.imag());
}
template <Ordered T>
bool is_nan(T x) {
  return x != x;
}
template <class T>
T max(T a, T b) {
  return is_nan(a) ? a : is_nan(b) ? b : lt(b, a) ? a : b;
}
template <class T>
T min(T a, T b) {
  return is_nan(a) ? a : is_nan(b) ? b : lt(a, b) ? a : b;
}

}  // namespace treadle::gpu_smoke::vm
