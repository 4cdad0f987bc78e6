#include "treadle/ops/fp8.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reinterpret.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// Between the exponents of float32 (bias 127) and of e4m3 (bias 7).
constexpr int kBias = 120;
constexpr int kShift = 20;  // mantissa bits that e4m3 does not have

array bits(int64_t v) { return array(Scalar(v), uint32); }

}  // namespace

array to_fp8(const array& x, StreamOrDevice s) {
  if (!is_floating(x.dtype())) {
    invalid(
        "to_fp8",
        fmt::format("got {}; expected a floating dtype.", name_of(x.dtype())));
  }
  StreamScope scope(resolve(s));
  const array v = view(astype(stop_gradient(x), float32), uint32);
  const array sign = right_shift(bitwise_and(v, bits(0x80000000)), bits(24));
  const array a = bitwise_and(v, bits(0x7fffffff));
  // Half of the last place, and one less for even numbers: ties to even.
  const array odd = bitwise_and(right_shift(a, bits(kShift)), bits(1));
  const array rounded = right_shift(
      a + bits((1 << (kShift - 1)) - 1) + odd - bits(int64_t(kBias) << 23),
      bits(kShift));
  // Below 2^-6 numbers are multiples of 2^-9.
  const array small = astype(rint(view(a, float32) * 512), uint32);
  array code = select(less(a, bits(int64_t(kBias + 1) << 23)), small, rounded);
  const int64_t most = (int64_t(kBias + 15) << 23) | (7 << kShift);
  code = select(greater_equal(a, bits(most - (1 << kShift))), bits(0x7e), code);
  return astype(bitwise_or(code, sign), uint8);
}

array from_fp8(const array& x, Dtype dtype, StreamOrDevice s) {
  if (x.dtype() != uint8 || !is_floating(dtype)) {
    invalid("from_fp8",
            fmt::format("got {} to {}; expected uint8 to a floating dtype.",
                        name_of(x.dtype()),
                        name_of(dtype)));
  }
  StreamScope scope(resolve(s));
  const array v = astype(x, uint32);
  const array a = bitwise_and(v, bits(0x7f));
  const array sign = left_shift(bitwise_and(v, bits(0x80)), bits(24));
  const array normal = left_shift(a, bits(kShift)) + bits(kBias << 23);
  const array small = view(astype(a, float32) * 0.001953125, uint32);
  array y = select(less(a, bits(8)), small, normal);
  y = select(equal(a, bits(0x7f)), bits(0x7fc00000), y);
  return astype(view(bitwise_or(y, sign), float32), dtype);
}

}  // namespace treadle
