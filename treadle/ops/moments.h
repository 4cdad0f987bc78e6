// Means and variances over space for each channel, and what normalisation does
// with them: the whole of BatchNorm, GroupNorm and InstanceNorm but for the few
// numbers of a channel.
//
// x (B..., S..., C): `axes` are the axes S, one after the other, after which
// there is at least the last axis, C. Statistics keep the axes with length 1,
// (B..., 1..., C), and are float32 for half types.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

// x -> the mean over the axes, and the mean of the squared distances from it.
struct Moments : Composite<Moments> {
  static constexpr std::string_view op_name = "moments";
  Axes axes;

  auto fields() const { return std::tie(axes); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_VJP
  Mapped vmap(const Arrays& x, std::span<const int> mapped) const override;
  Arrays expand(const Arrays& x) const override;
};

// x and statistics: mean, scale, shift -> (x - mean) scale + shift, as `dtype`.
struct Normalized : Composite<Normalized> {
  static constexpr std::string_view op_name = "normalized";
  Axes axes;
  Dtype dtype = float32;

  auto fields() const { return std::tie(axes, dtype); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_VJP
  Arrays expand(const Arrays& x) const override;
};

// ct and x, both (B..., S..., C), mean -> the sums over the axes of ct
// (x - mean) and of ct.
struct CentredSums : Composite<CentredSums> {
  static constexpr std::string_view op_name = "centred_sums";
  Axes axes;

  auto fields() const { return std::tie(axes); }
  Specs infer(std::span<const Spec> in) const override;
  Mapped vmap(const Arrays& x, std::span<const int> mapped) const override;
  Arrays expand(const Arrays& x) const override;
};

// Mean and variance of x, floating, over `axes`, sorted, one after the other
// and without the last axis of x.
Arrays moments(const array& x, const Axes& axes);

// (x - mean) scale + shift, of statistics over `axes`; shift may be null. The
// dtype is that given.
array normalized(const array& x,
                 const array& mean,
                 const array& scale,
                 const array& shift,
                 const Axes& axes,
                 Dtype dtype);

}  // namespace treadle
