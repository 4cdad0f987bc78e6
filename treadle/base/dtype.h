// Element types, their sizes and classes, and which type two of them meet in.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "treadle/base/half.h"

namespace treadle {

enum class Dtype : uint8_t {
  bool_,
  uint8,
  uint16,
  uint32,
  uint64,
  int8,
  int16,
  int32,
  int64,
  float16,
  bfloat16,
  float32,
  float64,
  complex64,
};

inline constexpr int kNumDtypes = 14;

inline constexpr Dtype bool_ = Dtype::bool_;
inline constexpr Dtype uint8 = Dtype::uint8;
inline constexpr Dtype uint16 = Dtype::uint16;
inline constexpr Dtype uint32 = Dtype::uint32;
inline constexpr Dtype uint64 = Dtype::uint64;
inline constexpr Dtype int8 = Dtype::int8;
inline constexpr Dtype int16 = Dtype::int16;
inline constexpr Dtype int32 = Dtype::int32;
inline constexpr Dtype int64 = Dtype::int64;
inline constexpr Dtype float16 = Dtype::float16;
inline constexpr Dtype bfloat16 = Dtype::bfloat16;
inline constexpr Dtype float32 = Dtype::float32;
inline constexpr Dtype float64 = Dtype::float64;
inline constexpr Dtype complex64 = Dtype::complex64;

using complex64_t = std::complex<float>;

// Bytes of one element.
constexpr size_t size_of(Dtype t) {
  constexpr uint8_t sizes[kNumDtypes] = {
      1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 2, 4, 8, 8};
  return sizes[static_cast<int>(t)];
}

constexpr bool is_floating(Dtype t) {
  return t >= Dtype::float16 && t <= Dtype::float64;
}
constexpr bool is_inexact(Dtype t) { return t >= Dtype::float16; }
constexpr bool is_complex(Dtype t) { return t == Dtype::complex64; }
constexpr bool is_half(Dtype t) {
  return t == Dtype::float16 || t == Dtype::bfloat16;
}
constexpr bool is_unsigned(Dtype t) {
  return t >= Dtype::uint8 && t <= Dtype::uint64;
}
constexpr bool is_signed_integer(Dtype t) {
  return t >= Dtype::int8 && t <= Dtype::int64;
}
// bool is not an integer here, as in MLX's hierarchy.
constexpr bool is_integer(Dtype t) {
  return t >= Dtype::uint8 && t <= Dtype::int64;
}

// "float32", "bool", ...
std::string_view name_of(Dtype t);

// The type in which an operation on a and b is done (MLX's lattice).
Dtype promote_types(Dtype a, Dtype b);

// The floating type of a result that cannot be an integer: floating and
// complex types stay, all others become float32.
constexpr Dtype at_least_float(Dtype t) { return is_inexact(t) ? t : float32; }

template <class T>
struct DtypeOf;
#define TREADLE_DTYPE_OF(type, name)            \
  template <>                                   \
  struct DtypeOf<type> {                        \
    static constexpr Dtype value = Dtype::name; \
  };
TREADLE_DTYPE_OF(bool, bool_)
TREADLE_DTYPE_OF(uint8_t, uint8)
TREADLE_DTYPE_OF(uint16_t, uint16)
TREADLE_DTYPE_OF(uint32_t, uint32)
TREADLE_DTYPE_OF(uint64_t, uint64)
TREADLE_DTYPE_OF(int8_t, int8)
TREADLE_DTYPE_OF(int16_t, int16)
TREADLE_DTYPE_OF(int32_t, int32)
TREADLE_DTYPE_OF(int64_t, int64)
TREADLE_DTYPE_OF(float16_t, float16)
TREADLE_DTYPE_OF(bfloat16_t, bfloat16)
TREADLE_DTYPE_OF(float, float32)
TREADLE_DTYPE_OF(double, float64)
TREADLE_DTYPE_OF(complex64_t, complex64)
#undef TREADLE_DTYPE_OF

template <class T>
inline constexpr Dtype dtype_of = DtypeOf<T>::value;

// Calls f with the C++ type of t as its template argument.
template <class F>
decltype(auto) visit_dtype(Dtype t, F&& f) {
  switch (t) {
    case Dtype::bool_:
      return f.template operator()<bool>();
    case Dtype::uint8:
      return f.template operator()<uint8_t>();
    case Dtype::uint16:
      return f.template operator()<uint16_t>();
    case Dtype::uint32:
      return f.template operator()<uint32_t>();
    case Dtype::uint64:
      return f.template operator()<uint64_t>();
    case Dtype::int8:
      return f.template operator()<int8_t>();
    case Dtype::int16:
      return f.template operator()<int16_t>();
    case Dtype::int32:
      return f.template operator()<int32_t>();
    case Dtype::int64:
      return f.template operator()<int64_t>();
    case Dtype::float16:
      return f.template operator()<float16_t>();
    case Dtype::bfloat16:
      return f.template operator()<bfloat16_t>();
    case Dtype::float32:
      return f.template operator()<float>();
    case Dtype::float64:
      return f.template operator()<double>();
    case Dtype::complex64:
      break;
  }
  return f.template operator()<complex64_t>();
}

}  // namespace treadle
