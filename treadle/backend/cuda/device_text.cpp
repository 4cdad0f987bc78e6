#include "treadle/backend/cuda/device_text.h"

namespace treadle::backend::cuda {

const std::string_view kDeviceText = R"cuda(
// 177: unused, as most of this text is in one kernel. 186: unsigned < 0, in text
// that serves signed lanes too.
#pragma nv_diag_suppress 177, 186
#define D static __device__ __forceinline__
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef float f32;
typedef double f64;
struct b8 { u8 bits; };
struct f16 { u16 bits; };
struct bf16 { u16 bits; };
struct c64 { f32 re, im; };

// Signed lanes wrap on overflow, which int in C++ does not promise.
#define SIGNED(T, S, U)                                                       \
  struct T { S v; };                                                          \
  D S raw(T x) { return x.v; }                                                \
  D T operator+(T a, T b) { return {(S)((U)a.v + (U)b.v)}; }                  \
  D T operator-(T a, T b) { return {(S)((U)a.v - (U)b.v)}; }                  \
  D T operator*(T a, T b) { return {(S)((U)a.v * (U)b.v)}; }                  \
  D T operator&(T a, T b) { return {a.v & b.v}; }                             \
  D T operator|(T a, T b) { return {a.v | b.v}; }                             \
  D T operator^(T a, T b) { return {a.v ^ b.v}; }
SIGNED(i32, s32, u32)
SIGNED(i64, s64, u64)
D u32 raw(u32 x) { return x; }
D u64 raw(u64 x) { return x; }
D f32 raw(f32 x) { return x; }
D f64 raw(f64 x) { return x; }

D c64 operator+(c64 a, c64 b) { return {a.re + b.re, a.im + b.im}; }
D c64 operator-(c64 a, c64 b) { return {a.re - b.re, a.im - b.im}; }
D c64 operator*(c64 a, c64 b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

// The number v in the lane T.
template <class T> struct Make { D T of(f64 v) { return (T)v; } };
template <> struct Make<i32> { D i32 of(f64 v) { return {(s32)v}; } };
template <> struct Make<i64> { D i64 of(f64 v) { return {(s64)v}; } };
template <> struct Make<c64> { D c64 of(f64 v) { return {(f32)v, 0.0f}; } };

// Lane from memory.
D u32 lane(b8 x) { return x.bits != 0; }
D u32 lane(u8 x) { return x; }
D u32 lane(u16 x) { return x; }
D u32 lane(u32 x) { return x; }
D u64 lane(u64 x) { return x; }
D i32 lane(s8 x) { return {x}; }
D i32 lane(s16 x) { return {x}; }
D i32 lane(s32 x) { return {x}; }
D i64 lane(s64 x) { return {x}; }
D f32 lane(f16 x) {
  f32 y;
  asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
  return y;
}
D f32 lane(bf16 x) { return __uint_as_float((u32)x.bits << 16); }
D f32 lane(f32 x) { return x; }
D f64 lane(f64 x) { return x; }
D c64 lane(c64 x) { return x; }

// Towards 0; what the integer cannot hold becomes its smallest value, as on x86.
template <class X> D s32 to_s32(X x) {
  return x >= -2147483648.0f && x < 2147483648.0f ? (s32)x : (s32)0x80000000;
}
template <class X> D s64 to_s64(X x) {
  return x >= -9223372036854775808.0f && x < 9223372036854775808.0f
             ? (s64)x : (s64)0x8000000000000000;
}
// Memory from any lane: rounded to nearest even, truncated and wrapped, != 0. A
// number too large for an integer has the pattern that backend/cpu/convert.h says.
template <class T> struct As {
  template <class X> D T from(X x) { return (T)raw(x); }
  D T from(f32 x) { return (T)to_s32(x); }
  D T from(f64 x) { return (T)to_s32(x); }
  D T from(c64 x) { return from(x.re); }
};
#define WIDE_INTEGER(T, real)                                                 \
  template <> struct As<T> {                                                  \
    template <class X> D T from(X x) { return (T)raw(x); }                    \
    D T from(f32 x) { return real; }                                          \
    D T from(f64 x) { return real; }                                          \
    D T from(c64 x) { return from(x.re); }                                    \
  };
WIDE_INTEGER(u32, (u32)to_s64(x))
WIDE_INTEGER(s64, to_s64(x))
WIDE_INTEGER(u64, x >= 9223372036854775808.0f
    ? (u64)to_s64(x - 9223372036854775808.0f) ^ 0x8000000000000000 : (u64)to_s64(x))
template <> struct As<f32> {
  template <class X> D f32 from(X x) { return (f32)raw(x); }
  D f32 from(c64 x) { return x.re; }
};
template <> struct As<f64> {
  template <class X> D f64 from(X x) { return (f64)raw(x); }
  D f64 from(c64 x) { return x.re; }
};
template <> struct As<b8> {
  template <class X> D b8 from(X x) { return {(u8)(raw(x) != 0)}; }
  D b8 from(c64 x) { return {(u8)(x.re != 0 || x.im != 0)}; }
};
template <> struct As<f16> {
  template <class X> D f16 from(X x) {
    f16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(As<f32>::from(x)));
    return y;
  }
};
template <> struct As<bf16> {
  template <class X> D bf16 from(X x) {
    bf16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(As<f32>::from(x)));
    return y;
  }
};
template <> struct As<c64> {
  template <class X> D c64 from(X x) { return {(f32)raw(x), 0.0f}; }
  D c64 from(c64 x) { return x; }
};

namespace vm {

template <class T> D T constant(T, f64 v) { return Make<T>::of(v); }

#define BOTH(name, single, twice)                                             \
  D f32 name(f32 x) { return ::single(x); }                                   \
  D f64 name(f64 x) { return ::twice(x); }
BOTH(sqrt, sqrtf, sqrt)
BOTH(exp, expf, exp)
BOTH(expm1, expm1f, expm1)
BOTH(log, logf, log)
BOTH(log2, log2f, log2)
BOTH(log10, log10f, log10)
BOTH(log1p, log1pf, log1p)
BOTH(sin, sinf, sin)
BOTH(cos, cosf, cos)
BOTH(tan, tanf, tan)
BOTH(arcsin, asinf, asin)
BOTH(arccos, acosf, acos)
BOTH(arctan, atanf, atan)
BOTH(sinh, sinhf, sinh)
BOTH(cosh, coshf, cosh)
BOTH(tanh, tanhf, tanh)
BOTH(arcsinh, asinhf, asinh)
BOTH(arccosh, acoshf, acosh)
BOTH(arctanh, atanhf, atanh)
BOTH(erf, erff, erf)
BOTH(erfinv, erfinvf, erfinv)
BOTH(floor, floorf, floor)
BOTH(ceil, ceilf, ceil)
BOTH(rint, rintf, rint)
BOTH(abs, fabsf, fabs)
#undef BOTH

template <class T> D T rsqrt(T x) { return Make<T>::of(1) / vm::sqrt(x); }
// exp of a number above 0 is never taken, so nothing overflows.
template <class T> D T sigmoid(T x) {
  const T e = vm::exp(-vm::abs(x));
  return (x >= 0 ? Make<T>::of(1) : e) / (Make<T>::of(1) + e);
}
template <class T> D T floor_div(T a, T b) { return vm::floor(a / b); }
D f32 fmod(f32 a, f32 b) { return ::fmodf(a, b); }
D f64 fmod(f64 a, f64 b) { return ::fmod(a, b); }
template <class T> D T remainder(T a, T b) {
  const T r = vm::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
D f32 pow(f32 a, f32 b) { return ::powf(a, b); }
D f64 pow(f64 a, f64 b) { return ::pow(a, b); }
D f32 arctan2(f32 a, f32 b) { return ::atan2f(a, b); }
D f64 arctan2(f64 a, f64 b) { return ::atan2(a, b); }

template <class T> D T neg(T x) { return Make<T>::of(0) - x; }
D f32 neg(f32 x) { return -x; }
D f64 neg(f64 x) { return -x; }
template <class T> D T sign(T x) {
  const int s = (raw(x) > 0) - (raw(x) < 0);
  return raw(x) != raw(x) ? x : Make<T>::of(s);
}
template <class T> D T conj(T x) { return x; }
template <class T> D T logical_not(T x) { return Make<T>::of(raw(x) == 0); }
template <class T> D T select(u32 a, T b, T c) { return a ? b : c; }
template <class T> D u32 eq(T a, T b) { return raw(a) == raw(b); }
template <class T> D u32 ne(T a, T b) { return raw(a) != raw(b); }
template <class T> D u32 lt(T a, T b) { return raw(a) < raw(b); }
template <class T> D u32 le(T a, T b) { return raw(a) <= raw(b); }
template <class T> D T max(T a, T b) {
  return raw(a) > raw(b) || raw(a) != raw(a) ? a : b;
}
template <class T> D T min(T a, T b) {
  return raw(a) < raw(b) || raw(a) != raw(a) ? a : b;
}
D f32 max(f32 a, f32 b) {
  f32 y;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}
D f32 min(f32 a, f32 b) {
  f32 y;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}
template <class T> D T logaddexp(T a, T b) {
  const T m = vm::max(a, b);
  const T d = vm::abs(a - b);
  return d != d ? m : m + vm::log1p(vm::exp(-d));
}

// Integers, as in backend/cpu/vm.h: x / 0 and the remainder by 0 are 0, a negative
// exponent gives 0, shifts count modulo the width.
#define INTEGER(T, S, BITS)                                                   \
  D T abs(T x) { return raw(x) < 0 ? neg(x) : x; }                            \
  D T floor(T x) { return x; }                                                \
  D T ceil(T x) { return x; }                                                 \
  D T rint(T x) { return x; }                                                 \
  D T bit_not(T x) { return {~raw(x)}; }                                      \
  D T floor_div(T a, T b) {                                                   \
    if (raw(b) == 0) return b;                                                \
    if (raw(b) == (S)-1 && (S)-1 < 0) return neg(a);                          \
    const bool above = raw(a) % raw(b) != 0 && (raw(a) < 0) != (raw(b) < 0);  \
    return {raw(a) / raw(b) - (above ? 1 : 0)};                               \
  }                                                                           \
  D T remainder(T a, T b) {                                                   \
    if (raw(b) == 0 || (raw(b) == (S)-1 && (S)-1 < 0)) return {0};            \
    const S r = raw(a) % raw(b);                                              \
    return {r != 0 && (r < 0) != (raw(b) < 0) ? r + raw(b) : r};              \
  }                                                                           \
  D T pow(T a, T b) {                                                         \
    S n = raw(b);                                                             \
    if (n < 0) return {0};                                                    \
    T y = {1};                                                                \
    for (; n; n >>= 1) {                                                      \
      if (n & 1) y = y * a;                                                   \
      a = a * a;                                                              \
    }                                                                         \
    return y;                                                                 \
  }                                                                           \
  D T shl(T a, T b) { return {(S)((u64)raw(a) << (raw(b) & (BITS - 1)))}; }   \
  D T shr(T a, T b) { return {raw(a) >> (raw(b) & (BITS - 1))}; }
INTEGER(i32, s32, 32)
INTEGER(i64, s64, 64)
INTEGER(u32, u32, 32)
INTEGER(u64, u64, 64)

}  // namespace vm
)cuda";

const std::string_view kReduceText = R"cuda(
// Reductions. The order in which values meet depends on shapes alone.
template <class T> struct Ends {
  D T low() { return Make<T>::of(0); }  // unsigned
  D T high() { return ~Make<T>::of(0); }
};
template <> struct Ends<f32> {
  D f32 low() { return __int_as_float(0xff800000); }
  D f32 high() { return __int_as_float(0x7f800000); }
};
template <> struct Ends<f64> {
  D f64 low() { return Ends<f32>::low(); }
  D f64 high() { return Ends<f32>::high(); }
};
template <> struct Ends<i32> {
  D i32 low() { return {(s32)0x80000000}; }
  D i32 high() { return {0x7fffffff}; }
};
template <> struct Ends<i64> {
  D i64 low() { return {(s64)0x8000000000000000}; }
  D i64 high() { return {0x7fffffffffffffff}; }
};
template <> struct Ends<c64> {
  D c64 low() { return {Ends<f32>::low(), Ends<f32>::low()}; }
  D c64 high() { return {Ends<f32>::high(), Ends<f32>::high()}; }
};

namespace reduce {
#define KIND(name, start, combined)                                           \
  template <class T> struct name {                                            \
    D T first() { return start; }                                             \
    D T both(T a, T b) { return combined; }                                   \
  };
KIND(sum, Make<T>::of(0), a + b)
KIND(prod, Make<T>::of(1), a * b)
KIND(max, Ends<T>::low(), vm::max(a, b))
KIND(min, Ends<T>::high(), vm::min(a, b))
#undef KIND
}  // namespace reduce

template <class T> D T across(T x, int mask) {
  return __shfl_xor_sync(0xffffffff, x, mask);
}
D i32 across(i32 x, int mask) { return {across(x.v, mask)}; }
D i64 across(i64 x, int mask) { return {across(x.v, mask)}; }
D c64 across(c64 x, int mask) { return {across(x.re, mask), across(x.im, mask)}; }

// Over `count` threads that follow one another, a power of 2 up to a warp. All get
// the same bits: the lower thread's value goes left.
template <class R, class T> D T over_threads(T x, int count) {
  for (int mask = count >> 1; mask; mask >>= 1) {
    const T y = across(x, mask);
    x = threadIdx.x & mask ? R::both(y, x) : R::both(x, y);
  }
  return x;
}
// The second half of a reduction over a block: `slots` has one value a warp.
template <class R, class T> D T over_slots(const T* slots) {
  const int i = threadIdx.x & 31;
  return over_threads<R>(i < (blockDim.x + 31) / 32 ? slots[i] : R::first(), 32);
}

// Elements that one thread loads and stores at once.
template <class T, int N>
struct __align__(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack { T v[N]; };
template <class T, int N> D void load(Pack<T, N>& x, const T* from) {
  x = *(const Pack<T, N>*)from;
}
template <class T, int N> D void store(T* to, const Pack<T, N>& x) {
  *(Pack<T, N>*)to = x;
}
// Only the first `count`.
template <class T, int N> D void load(Pack<T, N>& x, const T* from, s64 count) {
  if (count >= N) return load(x, from);
  x = {};
  for (int e = 0; e < N; ++e) if (e < count) x.v[e] = from[e];
}
template <class T, int N> D void store(T* to, const Pack<T, N>& x, s64 count) {
  if (count >= N) return store(to, x);
  for (int e = 0; e < N; ++e) if (e < count) to[e] = x.v[e];
}
)cuda";

std::string row_functions(const std::set<Row>& rows) {
  static constexpr std::string_view heads[] = {
      "template <class X> D auto $(X x)",
      "template <class A, class B> D auto $(A a, B b)",
      "template <class A, class B, class C> D auto $(A a, B b, C c)"};
  std::string text = "namespace row {\n";
  for (Row row : rows) {
    const RowInfo& r = info(row);
    std::string head(heads[r.arity - 1]);
    head.replace(head.find('$'), 1, r.name);
    text += head + " { return " + std::string(r.lane) + "; }\n";
  }
  return text + "}  // namespace row\n";
}

std::string_view storage_name(Dtype t) {
  static constexpr std::string_view names[kNumDtypes] = {"b8",
                                                         "u8",
                                                         "u16",
                                                         "u32",
                                                         "u64",
                                                         "s8",
                                                         "s16",
                                                         "s32",
                                                         "s64",
                                                         "f16",
                                                         "bf16",
                                                         "f32",
                                                         "f64",
                                                         "c64"};
  return names[static_cast<int>(t)];
}

std::string_view lane_name(plan::Lane lane) {
  static constexpr std::string_view names[plan::kNumLanes] = {
      "f32", "f64", "i32", "i64", "u32", "u64", "c64"};
  return names[static_cast<int>(lane)];
}

}  // namespace treadle::backend::cuda
