// What the rows of elementwise.def should give: the same functions in long
// double, whose 64 bits leave room to judge double.
#pragma once

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string_view>

#include "treadle/backend/cpu/vm.h"

namespace treadle::testing {

using Wide = long double;
using Unary = Wide (*)(Wide);
// The quotient of floor_divide is rounded in the lane first.
using Quotient = Wide (*)(Wide a, Wide b);
using Binary = Wide (*)(Wide a, Wide b, Quotient quotient);

inline Wide true_sigmoid(Wide x) {
  const Wide e = std::exp(-std::fabs(x));
  return (x < 0 ? e : 1) / (1 + e);
}

// Two steps of Newton's method from a start that is good to double.
inline Wide true_erfinv(Wide x) {
  if (std::isnan(x) || std::fabs(x) > 1) return NAN;
  if (x == 0) return x;
  const Wide a = std::fabs(x);
  if (a == 1) return std::copysign(Wide(INFINITY), x);
  Wide y = backend::cpu::vm::erfinv_of(double(a));
  const Wide half_root_pi = 0.886226925452758013649083741670572591L;
  for (int i = 0; i < 2; ++i) {
    const Wide slope = half_root_pi * std::exp(y * y);
    y += a < 0.5L ? -(std::erf(y) - a) * slope
                  : (std::erfc(y) - (1 - a)) * slope;
  }
  return std::copysign(y, x);
}

inline Wide true_remainder(Wide a, Wide b) {
  const Wide r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

inline Wide true_logaddexp(Wide a, Wide b) {
  if (std::isnan(a) || std::isnan(b)) return NAN;
  const Wide m = std::max(a, b);
  if (std::isinf(m)) return m;
  return m + std::log1p(std::exp(-std::fabs(a - b)));
}

inline const std::map<std::string_view, Unary>& unary_truths() {
  using W = Wide;
  static const std::map<std::string_view, Unary> truths = {
      {"negative", [](W x) { return -x; }},
      {"abs", [](W x) { return std::fabs(x); }},
      {"sign", [](W x) { return x > 0   ? W(1)
                                : x < 0 ? W(-1)
                                        : x; }},
      {"square", [](W x) { return x * x; }},
      {"sqrt", [](W x) { return std::sqrt(x); }},
      {"rsqrt", [](W x) { return 1 / std::sqrt(x); }},
      {"reciprocal", [](W x) { return 1 / x; }},
      {"exp", [](W x) { return std::exp(x); }},
      {"expm1", [](W x) { return std::expm1(x); }},
      {"log", [](W x) { return std::log(x); }},
      {"log2", [](W x) { return std::log2(x); }},
      {"log10", [](W x) { return std::log10(x); }},
      {"log1p", [](W x) { return std::log1p(x); }},
      {"sin", [](W x) { return std::sin(x); }},
      {"cos", [](W x) { return std::cos(x); }},
      {"tan", [](W x) { return std::tan(x); }},
      {"arcsin", [](W x) { return std::asin(x); }},
      {"arccos", [](W x) { return std::acos(x); }},
      {"arctan", [](W x) { return std::atan(x); }},
      {"sinh", [](W x) { return std::sinh(x); }},
      {"cosh", [](W x) { return std::cosh(x); }},
      {"tanh", [](W x) { return std::tanh(x); }},
      {"arcsinh", [](W x) { return std::asinh(x); }},
      {"arccosh", [](W x) { return std::acosh(x); }},
      {"arctanh", [](W x) { return std::atanh(x); }},
      {"sigmoid", true_sigmoid},
      {"erf", [](W x) { return std::erf(x); }},
      {"erfinv", true_erfinv},
      {"floor", [](W x) { return std::floor(x); }},
      {"ceil", [](W x) { return std::ceil(x); }},
      {"rint", [](W x) { return std::nearbyint(x); }},
      {"conjugate", [](W x) { return x; }},
  };
  return truths;
}

inline const std::map<std::string_view, Binary>& binary_truths() {
  using W = Wide;
  using L = Quotient;
  static const std::map<std::string_view, Binary> truths = {
      {"add", [](W a, W b, L) { return a + b; }},
      {"subtract", [](W a, W b, L) { return a - b; }},
      {"multiply", [](W a, W b, L) { return a * b; }},
      {"divide", [](W a, W b, L) { return a / b; }},
      {"floor_divide",
       [](W a, W b, L quotient) { return std::floor(quotient(a, b)); }},
      {"remainder", [](W a, W b, L) { return true_remainder(a, b); }},
      {"power", [](W a, W b, L) { return std::pow(a, b); }},
      {"maximum",
       [](W a, W b, L) { return a != a || b != b ? W(NAN) : std::max(a, b); }},
      {"minimum",
       [](W a, W b, L) { return a != a || b != b ? W(NAN) : std::min(a, b); }},
      {"logaddexp", [](W a, W b, L) { return true_logaddexp(a, b); }},
      {"arctan2", [](W a, W b, L) { return std::atan2(a, b); }},
  };
  return truths;
}

}  // namespace treadle::testing
