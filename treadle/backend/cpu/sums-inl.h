// Sums of floats for vector code: four are added as floats, the sums of four as
// doubles, so that sums of any length are as good as one rounding.
#include "treadle/backend/cpu/rows-inl.h"

#if defined(TREADLE_BACKEND_CPU_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_SUMS_INL_H_
#undef TREADLE_BACKEND_CPU_SUMS_INL_H_
#else
#define TREADLE_BACKEND_CPU_SUMS_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {

class FloatSum {
 public:
  HWY_INLINE FloatSum()
      : low_(hn::Zero(Tag<double>())), high_(hn::Zero(Tag<double>())) {}

  HWY_INLINE void take(size_t n, const float* x) {
    const Tag<float> d;
    const size_t lanes = hn::Lanes(d);
    for (; n >= 4 * lanes; n -= 4 * lanes, x += 4 * lanes) {
      take_four(hn::LoadU(d, x),
                hn::LoadU(d, x + lanes),
                hn::LoadU(d, x + 2 * lanes),
                hn::LoadU(d, x + 3 * lanes));
    }
    for (; n >= lanes; n -= lanes, x += lanes) take_one(hn::LoadU(d, x));
    if (n > 0) take_one(load_some(d, x, n));
  }
  HWY_INLINE void take_four(Raw<float> a,
                            Raw<float> b,
                            Raw<float> c,
                            Raw<float> e) {
    take_one(hn::Add(hn::Add(a, b), hn::Add(c, e)));
  }
  HWY_INLINE void take_one(Raw<float> v) {
    const Tag<double> d;
    const hn::Rebind<float, Tag<double>> dh;
    low_ = hn::Add(low_, hn::PromoteTo(d, hn::LowerHalf(dh, v)));
    high_ = hn::Add(high_, hn::PromoteTo(d, hn::UpperHalf(dh, v)));
  }
  HWY_INLINE double total() const {
    const Tag<double> d;
    return hn::GetLane(hn::SumOfLanes(d, hn::Add(low_, high_)));
  }

 private:
  Raw<double> low_, high_;
};

}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
