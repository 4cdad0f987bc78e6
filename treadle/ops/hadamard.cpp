#include "treadle/ops/hadamard.h"

#include <bit>
#include <cmath>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// Rows of the matrices of orders 12, 20 and 28; the highest bit is the first
// entry, a bit that is set is 1 and the others are -1.
constexpr uint32_t kRows12[] = {0xbff,
                                0x2aa,
                                0xec3,
                                0x896,
                                0xfb0,
                                0xa25,
                                0xcec,
                                0x989,
                                0xc3b,
                                0x962,
                                0xf0e,
                                0xa58};
constexpr uint32_t kRows20[] = {0x84336, 0x4238b, 0x211d5, 0x108fa, 0x0866d,
                                0x7c139, 0xba29c, 0xd914e, 0xe88a7, 0xf0653,
                                0x35a0f, 0x1ad17, 0x8d49b, 0xc685d, 0x6343e,
                                0x49a10, 0xa0d08, 0x54484, 0x2e042, 0x93021};
constexpr uint32_t kRows28[] = {
    0x818694c, 0x41c14a6, 0x20e2a13, 0x1071549, 0x0838ae4, 0x41e532,
    0x30d299,  0x3d019d2, 0x1e82ca9, 0x8e43654, 0xc621b2a, 0xe210d95,
    0xf00a6ca, 0x7807325, 0x5b3201e, 0xac9900f, 0x564c847, 0xab24463,
    0xd590271, 0x6ac8178, 0xb4640bc, 0x66b70c0, 0xb35b820, 0xd8adc10,
    0x6d54e08, 0x37a8704, 0x9ad4382, 0xcd6a181};

std::span<const uint32_t> rows_of(int64_t order) {
  if (order == 12) return kRows12;
  if (order == 20) return kRows20;
  if (order == 28) return kRows28;
  return {};
}

// The matrix of one factor: tabulated, or Sylvester's, whose entry (i, j) is
// the parity of the bits that i and j share.
array matrix(int64_t n, Dtype dtype) {
  std::vector<float> v;
  v.reserve(size_t(n * n));
  const auto rows = rows_of(n);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const bool plus = rows.empty()
                            ? std::popcount(uint64_t(i & j)) % 2 == 0
                            : (rows[size_t(i)] >> (n - 1 - j) & 1) != 0;
      v.push_back(plus ? 1.0f : -1.0f);
    }
  }
  return astype(array::from(v.data(), {n, n}), dtype);
}

// The largest Sylvester matrix that is multiplied as one.
constexpr int kBits = 7;

}  // namespace

array hadamard_transform(const array& x,
                         std::optional<double> scale,
                         StreamOrDevice s) {
  StreamScope scope(resolve(s));
  const int64_t n = x.ndim() == 0 ? 1 : x.shape(-1);
  int64_t order = 0;
  for (int64_t m : {1, 12, 20, 28}) {
    if (n >= m && n % m == 0 && std::has_single_bit(uint64_t(n / m))) order = m;
  }
  if (order == 0) {
    invalid("hadamard_transform",
            fmt::format("the last axis of {} has length {}; expected m 2^k "
                        "with m one of 1, 12, 20, 28.",
                        to_string(x.spec()),
                        n));
  }
  const Dtype result = is_inexact(x.dtype()) ? x.dtype() : float32;
  const bool half = result == float16 || result == bfloat16;
  const Dtype dtype = half ? float32 : result;
  array y = reshape(astype(x, dtype), {-1, n});
  // H is a Kronecker product of factors; each multiplies an axis of its own.
  int bits = std::bit_width(uint64_t(n / order)) - 1;
  const int chunks = std::max(1, (bits + kBits - 1) / kBits);
  std::vector<int64_t> factors{order};
  for (int i = 0; i < chunks; ++i) {
    const int own = bits / (chunks - i);
    factors.push_back(int64_t(1) << own);
    bits -= own;
  }
  int64_t right = 1;
  for (size_t i = factors.size(); i-- > 0;) {
    const int64_t f = factors[i];
    if (f == 1) continue;
    const array h = matrix(f, dtype);
    y = right == 1 ? matmul(reshape(y, {-1, f}), transpose(h))
                   : matmul(h, reshape(y, {-1, f, right}));
    right *= f;
  }
  const double by = scale.value_or(1 / std::sqrt(double(n)));
  y = reshape(y, x.shape());
  return astype(by == 1 ? y : multiply(y, by), result);
}

}  // namespace treadle
