#include "treadle/backend/cpu/take_words.h"

#include "treadle/backend/cpu/simd_targets.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/take_words.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

bool take_in_vectors(const uint32_t* x,
                     int64_t x_step,
                     const int32_t* index,
                     int64_t n,
                     int64_t step,
                     int64_t length,
                     uint32_t* y) {
  const hn::ScalableTag<uint32_t> d;
  const hn::ScalableTag<int32_t> di;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto zero = hn::Zero(di);
  const auto all = hn::Set(di, static_cast<int32_t>(length));
  const auto by = hn::Set(di, static_cast<int32_t>(step));
  const auto along =
      hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(x_step)));
  auto outside = zero;
  int64_t k = 0;
  for (; k + lanes <= n; k += lanes) {
    auto i = hn::LoadU(di, index + k);
    i = hn::Add(i, hn::IfThenElseZero(hn::Lt(i, zero), all));
    const auto wrong = hn::Or(hn::Lt(i, zero), hn::Not(hn::Lt(i, all)));
    outside = hn::Or(outside, hn::VecFromMask(di, wrong));
    i = hn::IfThenZeroElse(wrong, i);
    const auto at = step == 1 ? i : hn::Mul(i, by);
    const auto v = hn::GatherIndex(d, x + k * x_step, hn::Add(at, along));
    hn::StoreU(v, d, y + k);
  }
  bool right = hn::AllTrue(di, hn::Eq(outside, zero));
  for (; k < n; ++k) {
    const int64_t i = index[k] + (index[k] < 0 ? length : 0);
    const bool inside = i >= 0 && i < length;
    right = right && inside;
    y[k] = x[k * x_step + (inside ? i : 0) * step];
  }
  return right;
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(take_in_vectors);

bool take_words(const uint32_t* x,
                int64_t x_step,
                const int32_t* index,
                int64_t n,
                int64_t step,
                int64_t length,
                uint32_t* y) {
  return HWY_DYNAMIC_DISPATCH(take_in_vectors)(
      x, x_step, index, n, step, length, y);
}

}  // namespace treadle::backend::cpu
#endif  // HWY_ONCE
