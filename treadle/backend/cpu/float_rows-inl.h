// Rows of any floating type but float64 as float, and back.
#include <algorithm>
#include <cstdint>

#include "treadle/backend/cpu/float_lanes-inl.h"
#include "treadle/base/dtype.h"

#if defined(TREADLE_BACKEND_CPU_FLOAT_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_FLOAT_ROWS_INL_H_
#undef TREADLE_BACKEND_CPU_FLOAT_ROWS_INL_H_
#else
#define TREADLE_BACKEND_CPU_FLOAT_ROWS_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

using F = hn::ScalableTag<float>;
using Vf = hn::Vec<F>;

// to[i] = scale from[i step] for i < n.
template <class T>
HWY_INLINE void load_row(
    const T* from, int64_t step, int64_t n, float scale, float* to) {
  const F d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  int64_t i = 0;
  if (step == 1) {
    const Vf s = hn::Set(d, scale);
    for (; i + lanes <= n; i += lanes) {
      hn::StoreU(hn::Mul(load(d, from + i), s), d, to + i);
    }
  }
  for (; i < n; ++i) to[i] = static_cast<float>(from[i * step]) * scale;
}

HWY_INLINE void load_row(const char* from,
                         Dtype dtype,
                         int64_t step,
                         int64_t n,
                         float scale,
                         float* to) {
  switch (dtype) {
    case Dtype::float16:
      return load_row(
          reinterpret_cast<const float16_t*>(from), step, n, scale, to);
    case Dtype::bfloat16:
      return load_row(
          reinterpret_cast<const bfloat16_t*>(from), step, n, scale, to);
    default:
      return load_row(reinterpret_cast<const float*>(from), step, n, scale, to);
  }
}

// to[i] = scale from[i], in another dtype.
HWY_INLINE void store_row(
    const float* from, int64_t n, float scale, Dtype dtype, char* to) {
  const F d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  const Vf s = hn::Set(d, scale);
  auto each = [&](auto* y) {
    int64_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      store(d, hn::Mul(hn::LoadU(d, from + i), s), y + i);
    }
    for (; i < n; ++i) {
      y[i] = static_cast<std::remove_pointer_t<decltype(y)>>(from[i] * scale);
    }
  };
  switch (dtype) {
    case Dtype::float16:
      return each(reinterpret_cast<float16_t*>(to));
    case Dtype::bfloat16:
      return each(reinterpret_cast<bfloat16_t*>(to));
    default:
      return each(reinterpret_cast<float*>(to));
  }
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
