// Vector code of the float rows that compute in double and round once.
#include <cmath>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/row_groups.h"
#include "treadle/backend/cpu/simd_targets.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/rows_f32_wide.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "treadle/backend/cpu/rows-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

struct Covers {
  static constexpr bool has(Row row) {
    const Rule rule = info(row).rule;
    return plan::takes_lane(rule, plan::Lane::f32) && is_wide(row);
  }
};

// The modulus: the squares of floats neither overflow nor vanish in double.
struct WideHypot {
  static HWY_INLINE Raw<double> of(Raw<double> a, Raw<double> b) {
    const auto inf = infinity<double>();
    const auto infinite =
        hn::Or(hn::Eq(hn::Abs(a), inf), hn::Eq(hn::Abs(b), inf));
    const auto r = hn::Sqrt(hn::MulAdd(a, a, hn::Mul(b, b)));
    return hn::IfThenElse(infinite, inf, r);
  }
};
HWY_INLINE Raw<float> modulus(const float* z) {
  Raw<float> re, im;
  hn::LoadInterleaved2(Tag<float>(), z, re, im);
  return wide<WideHypot>(Vec<float>{re}, Vec<float>{im}).v;
}
void complex_abs(size_t n,
                 void* out,
                 const void* in,
                 const void*,
                 const void*,
                 unsigned flags) {
  const Tag<float> d;
  const size_t lanes = hn::Lanes(d);
  const float* z = static_cast<const float*>(in);
  float* y = static_cast<float*>(out);
  HWY_ALIGN float some[2 * HWY_MAX_BYTES / sizeof(float)] = {};
  if (flags & 1) {
    for (size_t i = 0; i < 2 * lanes; ++i) some[i] = z[i % 2];
    const auto v = modulus(some);
    for (; n >= lanes; n -= lanes, y += lanes) hn::StoreU(v, d, y);
    if (n > 0) store_some(v, d, y, n);
    return;
  }
  for (; n >= lanes; n -= lanes, z += 2 * lanes, y += lanes)
    hn::StoreU(modulus(z), d, y);
  if (n > 0) {
    std::memcpy(some, z, 2 * n * sizeof(float));
    store_some(modulus(some), d, y, n);
  }
}

void fill(LaneTable* t) {
  fill_rows<float, Covers>(t, plan::Lane::f32);
  t->row[static_cast<int>(Row::abs)][static_cast<int>(plan::Lane::c64)] =
      complex_abs;
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(fill);
void fill_float_functions(LaneTable* t) { HWY_DYNAMIC_DISPATCH(fill)(t); }

}  // namespace treadle::backend::cpu
#endif
