// The order of elements in sorting: NaN last, complex numbers by their real,
// then by their imaginary parts. compare.h has the order of extremes.
#pragma once

#include "treadle/backend/cpu/compare.h"

namespace treadle::backend::cpu {

template <class T>
inline bool comes_before(T a, T b) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    if (comes_before(a.real(), b.real())) return true;
    if (comes_before(b.real(), a.real())) return false;
    return comes_before(a.imag(), b.imag());
  } else if constexpr (std::is_integral_v<T>) {
    return a < b;
  } else {
    // Without branches, which a search could not predict.
    const bool less = a < b, last = is_nan(b), number = !is_nan(a);
    return less | (last & number);
  }
}

}  // namespace treadle::backend::cpu
