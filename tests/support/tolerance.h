// How far a result may be from the truth, per dtype. The one table.
#pragma once

#include <cmath>
#include <limits>

#include "treadle/base/dtype.h"

namespace treadle::testing {

// One unit in the last place, relative.
constexpr double epsilon_of(Dtype t) {
  switch (t) {
    case Dtype::float16:
      return 1.0 / (1 << 10);
    case Dtype::bfloat16:
      return 1.0 / (1 << 7);
    case Dtype::float32:
    case Dtype::complex64:
      return 1.0 / (1 << 23);
    case Dtype::float64:
      return std::numeric_limits<double>::epsilon();
    default:
      return 0;
  }
}

// |got - want| <= ulps * epsilon * scale, where scale is the size of the
// numbers that went into the result. Equal infinities and two NaN agree.
inline bool close(
    double got, double want, Dtype t, double ulps, double scale = 0) {
  if (std::isnan(want)) return std::isnan(got);
  if (got == want) return true;
  if (std::isinf(want) || std::isinf(got)) return false;
  double size = std::max({std::abs(want), std::abs(got), scale});
  return std::abs(got - want) <= ulps * epsilon_of(t) * size + 1e-300;
}

}  // namespace treadle::testing
