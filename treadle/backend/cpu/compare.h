// The order of elements: NaN comes before everything in both directions, so
// that it wins every maximum and minimum; complex numbers compare by their real
// parts, then by their imaginary parts.
#pragma once

#include "treadle/backend/cpu/convert.h"

namespace treadle::backend::cpu {

template <class T>
inline bool is_nan(T x) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return x.real() != x.real() || x.imag() != x.imag();
  } else if constexpr (std::is_integral_v<T>) {
    return false;
  } else {
    return x != x;
  }
}

template <class T>
inline bool less_than(T a, T b) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return a.real() < b.real() || (a.real() == b.real() && a.imag() < b.imag());
  } else {
    return a < b;
  }
}

// True when x takes the place of `best` in a maximum or minimum; equal values
// do not, so the first one stays.
template <bool Max, class T>
inline bool beats(T x, T best) {
  if (is_nan(best)) return false;
  return is_nan(x) || (Max ? less_than(best, x) : less_than(x, best));
}

}  // namespace treadle::backend::cpu
