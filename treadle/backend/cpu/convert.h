// The one meaning of a conversion between element types, defined for every
// value. It is what MLX computes on x86: floating values are truncated towards
// zero, and what the integer cannot hold becomes the pattern of the next wider
// register (int32 for 8 and 16 bits, int64 for uint32).
#pragma once

#include <complex>
#include <limits>
#include <type_traits>

#include "treadle/base/dtype.h"

namespace treadle::backend::cpu {

template <class T>
inline constexpr bool is_half_type =
    std::is_same_v<T, float16_t> || std::is_same_v<T, bfloat16_t>;

// I is int32_t or int64_t; its smallest value stands for all that does not fit.
template <class I, class F>
inline I truncate(F x) {
  constexpr F limit = -static_cast<F>(std::numeric_limits<I>::min());
  return x >= -limit && x < limit ? static_cast<I>(x)
                                  : std::numeric_limits<I>::min();
}

template <class To, class From>
inline To convert(From x) {
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (is_half_type<From>) {
    return convert<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (std::is_same_v<From, complex64_t>) {
    return convert<To>(x.real());
  } else if constexpr (std::is_same_v<To, complex64_t>) {
    return To(static_cast<float>(x), 0);
  } else if constexpr (is_half_type<To>) {
    return To(static_cast<float>(x));
  } else if constexpr (std::is_integral_v<From> ||
                       std::is_floating_point_v<To>) {
    return static_cast<To>(x);
  } else if constexpr (std::is_same_v<To, uint64_t>) {
    constexpr From half = 9223372036854775808.0f;
    constexpr uint64_t top = uint64_t{1} << 63;
    return x >= half ? static_cast<uint64_t>(truncate<int64_t>(x - half)) ^ top
                     : static_cast<uint64_t>(truncate<int64_t>(x));
  } else if constexpr (std::is_same_v<To, int64_t> ||
                       std::is_same_v<To, uint32_t>) {
    return static_cast<To>(truncate<int64_t>(x));
  } else {
    return static_cast<To>(truncate<int32_t>(x));
  }
}

}  // namespace treadle::backend::cpu
