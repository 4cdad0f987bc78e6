// vm:: for complex64 on the device. Single precision in and out, double
// between: the textbook formulas then neither overflow nor cancel within
// float's range.
#include "treadle/backend/cuda/device_text.h"

namespace treadle::backend::cuda {

const std::string_view kComplexText = R"cuda(
struct z128 { f64 re, im; };
D z128 wide(c64 x) { return {x.re, x.im}; }
D c64 narrow(z128 x) { return {(f32)x.re, (f32)x.im}; }
D z128 operator+(z128 a, z128 b) { return {a.re + b.re, a.im + b.im}; }
D z128 operator-(z128 a, z128 b) { return {a.re - b.re, a.im - b.im}; }
D z128 operator*(z128 a, z128 b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
D z128 operator*(f64 s, z128 x) { return {s * x.re, s * x.im}; }
D z128 operator/(z128 a, z128 b) {
  const f64 d = b.re * b.re + b.im * b.im;
  return {(a.re * b.re + a.im * b.im) / d, (a.im * b.re - a.re * b.im) / d};
}
D c64 operator/(c64 a, c64 b) { return narrow(wide(a) / wide(b)); }

namespace wide_vm {

D z128 exp(z128 x) {
  const f64 e = ::exp(x.re);
  return x.im == 0 ? z128{e, x.im} : z128{e * ::cos(x.im), e * ::sin(x.im)};
}
D z128 expm1(z128 x) {
  const f64 s = ::sin(0.5 * x.im);
  return {::expm1(x.re) * ::cos(x.im) - 2 * s * s, ::exp(x.re) * ::sin(x.im)};
}
D z128 log(z128 x) {
  const f64 a = ::fabs(x.re), b = ::fabs(x.im);
  const f64 big = ::fmax(a, b), small = ::fmin(a, b);
  const bool near_one = big > 0.5 && big < 2;
  const f64 re = near_one ? 0.5 * ::log1p((big - 1) * (big + 1) + small * small)
                          : ::log(::hypot(x.re, x.im));
  return {re, ::atan2(x.im, x.re)};
}
D z128 log1p(z128 x) {
  return {0.5 * ::log1p(x.re * (2 + x.re) + x.im * x.im),
          ::atan2(x.im, 1 + x.re)};
}
D z128 sqrt(z128 x) {
  const f64 t = ::sqrt(0.5 * (::hypot(x.re, x.im) + ::fabs(x.re)));
  if (t == 0) return {0, x.im};
  return x.re >= 0 ? z128{t, 0.5 * x.im / t}
                   : z128{0.5 * ::fabs(x.im) / t, ::copysign(t, x.im)};
}
D z128 sinh(z128 x) {
  return {::sinh(x.re) * ::cos(x.im), ::cosh(x.re) * ::sin(x.im)};
}
D z128 cosh(z128 x) {
  return {::cosh(x.re) * ::cos(x.im), ::sinh(x.re) * ::sin(x.im)};
}
D z128 tanh(z128 x) {
  const f64 c = ::cos(x.im), s = ::sin(x.im);
  if (::fabs(x.re) > 20) {
    return {::copysign(1.0, x.re), 4 * s * c * ::exp(-2 * ::fabs(x.re))};
  }
  const f64 h = ::sinh(x.re), d = h * h + c * c;
  return {h * ::cosh(x.re) / d, s * c / d};
}
// i x and -i x: the circular functions are the hyperbolic ones turned.
D z128 left(z128 x) { return {-x.im, x.re}; }
D z128 right(z128 x) { return {x.im, -x.re}; }
// W. Kahan, Branch cuts for complex elementary functions (1987).
D z128 arcsin(z128 x) {
  const z128 a = sqrt(z128{1 - x.re, -x.im}), b = sqrt(z128{1 + x.re, x.im});
  return {::atan2(x.re, a.re * b.re - a.im * b.im),
          ::asinh(a.re * b.im - a.im * b.re)};
}
D z128 arccos(z128 x) {
  const z128 a = sqrt(z128{1 - x.re, -x.im}), b = sqrt(z128{1 + x.re, x.im});
  return {2 * ::atan2(a.re, b.re), ::asinh(b.re * a.im - b.im * a.re)};
}
D z128 arccosh(z128 x) {
  const z128 a = sqrt(z128{x.re - 1, x.im}), b = sqrt(z128{x.re + 1, x.im});
  return {::asinh(a.re * b.re + a.im * b.im), 2 * ::atan2(a.im, b.re)};
}
D z128 arctanh(z128 x) {
  const f64 d = (1 - x.re) * (1 - x.re) + x.im * x.im;
  return {0.25 * ::log1p(4 * x.re / d),
          0.5 * ::atan2(2 * x.im, (1 - x.re) * (1 + x.re) - x.im * x.im)};
}

}  // namespace wide_vm

namespace vm {

D c64 exp(c64 x) { return narrow(wide_vm::exp(wide(x))); }
D c64 expm1(c64 x) { return narrow(wide_vm::expm1(wide(x))); }
D c64 log(c64 x) { return narrow(wide_vm::log(wide(x))); }
D c64 log2(c64 x) {
  return narrow(1.4426950408889634 * wide_vm::log(wide(x)));
}
D c64 log10(c64 x) {
  return narrow(0.43429448190325182 * wide_vm::log(wide(x)));
}
D c64 log1p(c64 x) { return narrow(wide_vm::log1p(wide(x))); }
D c64 sqrt(c64 x) { return narrow(wide_vm::sqrt(wide(x))); }
D c64 rsqrt(c64 x) { return narrow(z128{1, 0} / wide_vm::sqrt(wide(x))); }
D c64 sinh(c64 x) { return narrow(wide_vm::sinh(wide(x))); }
D c64 cosh(c64 x) { return narrow(wide_vm::cosh(wide(x))); }
D c64 tanh(c64 x) { return narrow(wide_vm::tanh(wide(x))); }
D c64 sin(c64 x) {
  return narrow(wide_vm::right(wide_vm::sinh(wide_vm::left(wide(x)))));
}
D c64 cos(c64 x) { return narrow(wide_vm::cosh(wide_vm::left(wide(x)))); }
D c64 tan(c64 x) {
  return narrow(wide_vm::right(wide_vm::tanh(wide_vm::left(wide(x)))));
}
D c64 arcsin(c64 x) { return narrow(wide_vm::arcsin(wide(x))); }
D c64 arccos(c64 x) { return narrow(wide_vm::arccos(wide(x))); }
D c64 arctan(c64 x) {
  return narrow(wide_vm::right(wide_vm::arctanh(wide_vm::left(wide(x)))));
}
D c64 arcsinh(c64 x) {
  return narrow(wide_vm::right(wide_vm::arcsin(wide_vm::left(wide(x)))));
}
D c64 arccosh(c64 x) { return narrow(wide_vm::arccosh(wide(x))); }
D c64 arctanh(c64 x) { return narrow(wide_vm::arctanh(wide(x))); }
D c64 sigmoid(c64 x) {
  const z128 one = {1, 0}, z = wide(x);
  const z128 e = wide_vm::exp(z.re < 0 ? z : z128{-z.re, -z.im});
  return narrow((z.re < 0 ? e : one) / (one + e));
}
D c64 pow(c64 a, c64 b) {
  if (b.re == 0 && b.im == 0) return {1.0f, 0.0f};
  if (a.re == 0 && a.im == 0 && b.re > 0) return {0.0f, 0.0f};
  return narrow(wide_vm::exp(wide(b) * wide_vm::log(wide(a))));
}
D f32 abs(c64 x) {
  return (f32)::sqrt((f64)x.re * x.re + (f64)x.im * x.im);
}
D c64 neg(c64 x) { return {-x.re, -x.im}; }
D c64 sign(c64 x) {
  if (x.re == 0 && x.im == 0) return {0, 0};
  const f64 m = ::sqrt((f64)x.re * x.re + (f64)x.im * x.im);
  return {(f32)(x.re / m), (f32)(x.im / m)};
}
D c64 rint(c64 x) { return {::rintf(x.re), ::rintf(x.im)}; }
D c64 conj(c64 x) { return {x.re, -x.im}; }

// Ordered by the real part, then the imaginary.
D u32 eq(c64 a, c64 b) { return a.re == b.re && a.im == b.im; }
D u32 ne(c64 a, c64 b) { return !eq(a, b); }
D u32 lt(c64 a, c64 b) { return a.re < b.re || (a.re == b.re && a.im < b.im); }
D u32 le(c64 a, c64 b) { return a.re < b.re || (a.re == b.re && a.im <= b.im); }
D bool is_nan(c64 x) { return x.re != x.re || x.im != x.im; }
D c64 max(c64 a, c64 b) {
  return is_nan(a) || (lt(b, a) && !is_nan(b)) ? a : b;
}
D c64 min(c64 a, c64 b) {
  return is_nan(a) || (lt(a, b) && !is_nan(b)) ? a : b;
}

}  // namespace vm
)cuda";

}  // namespace treadle::backend::cuda
