#include "treadle/base/dtype.h"

#include <utility>

namespace treadle {

std::string_view name_of(Dtype t) {
  constexpr std::string_view names[kNumDtypes] = {"bool",
                                                  "uint8",
                                                  "uint16",
                                                  "uint32",
                                                  "uint64",
                                                  "int8",
                                                  "int16",
                                                  "int32",
                                                  "int64",
                                                  "float16",
                                                  "bfloat16",
                                                  "float32",
                                                  "float64",
                                                  "complex64"};
  return names[static_cast<int>(t)];
}

namespace {

// The smallest signed integer that holds every value of the unsigned a and the
// signed b; uint64 with a signed integer meets in float32, as in MLX.
Dtype promote_mixed_sign(Dtype a, Dtype b) {
  if (a == uint64) return float32;
  size_t need = size_of(a) * 2 > size_of(b) ? size_of(a) * 2 : size_of(b);
  return need == 2 ? int16 : need == 4 ? int32 : int64;
}

}  // namespace

Dtype promote_types(Dtype a, Dtype b) {
  if (a == b) return a;
  if (a > b) std::swap(a, b);  // the enum is ordered by class, then by size
  if (a == bool_) return b;
  if (b == complex64) return complex64;
  if (is_floating(b)) {
    if (a == float16 && b == bfloat16) return float32;
    return b;
  }
  if (is_unsigned(a) == is_unsigned(b)) return b;
  return promote_mixed_sign(a, b);
}

}  // namespace treadle
