#include "treadle/nn/functional/upsample.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/banded.h"
#include "treadle/ops/index.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

namespace {

// Result element i is the sum over taps of weight[i] x[index[i]]. Places are
// computed in float32, as MLX computes them.
struct Tap {
  std::vector<int32_t> index;
  std::vector<float> weight;
};

int64_t scaled_length(int64_t n, double scale) {
  return int64_t(scale * double(n));
}

std::vector<float> places(int64_t n, double scale, bool align_corners) {
  const int64_t m = scaled_length(n, scale);
  float step = float(1 / scale), start = 0;
  if (align_corners) {
    step = float(double(n - 1) / double(std::max<int64_t>(m - 1, 1)));
  } else {
    start = float((double(m - 1) / scale - double(n) + 1) / 2);
  }
  std::vector<float> at;
  for (int64_t i = 0; i < m; ++i) at.push_back(float(i) * step - start);
  return at;
}

// Adds a tap whose indices are cut to those there are, unless it weighs
// nothing.
void add(std::vector<Tap>& taps, Tap tap, int64_t n) {
  if (std::all_of(tap.weight.begin(), tap.weight.end(), [](float w) {
        return w == 0;
      })) {
    return;
  }
  for (int32_t& i : tap.index) i = std::clamp<int32_t>(i, 0, int32_t(n - 1));
  taps.push_back(std::move(tap));
}

std::vector<Tap> linear_taps(int64_t n, double scale, bool align_corners) {
  Tap left, right;
  for (float at : places(n, scale, align_corners)) {
    at = std::clamp(at, 0.0f, float(n - 1));
    const float floor = std::floor(at);
    left.index.push_back(int32_t(floor));
    right.index.push_back(int32_t(std::ceil(at)));
    left.weight.push_back(1 - (at - floor));
    right.weight.push_back(at - floor);
  }
  std::vector<Tap> taps;
  add(taps, std::move(left), n);
  add(taps, std::move(right), n);
  return taps;
}

// Of an element at distance x; a as in the paper.
float cubic(float x, float a) {
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x <= 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

std::vector<Tap> cubic_taps(int64_t n, double scale, bool align_corners) {
  std::vector<Tap> taps;
  for (int k = -1; k <= 2; ++k) {
    Tap tap;
    for (float at : places(n, scale, align_corners)) {
      const float element = std::floor(at) + float(k);
      tap.index.push_back(int32_t(element));
      tap.weight.push_back(cubic(std::abs(at - element), -0.75f));
    }
    add(taps, std::move(tap), n);
  }
  return taps;
}

// A kernel of this radius, as many times wider as the result is smaller; its
// weights are divided by their sum, since some lie outside.
std::vector<Tap> wide_taps(int64_t n,
                           double scale,
                           double radius,
                           float (*kernel)(float)) {
  const std::vector<float> at = places(n, scale, false);
  const double width = std::max(1 / scale, 1.0);
  const int reach = int(std::ceil(radius * width));
  std::vector<Tap> all;
  std::vector<float> sum(at.size(), 0);
  for (int k = -reach; k <= reach; ++k) {
    Tap tap;
    for (size_t i = 0; i < at.size(); ++i) {
      const float element = std::floor(at[i]) + float(k);
      const bool inside = element >= 0 && element < float(n);
      const float w =
          inside ? kernel(std::abs(at[i] - element) / float(width)) : 0;
      tap.index.push_back(int32_t(element));
      tap.weight.push_back(w);
      sum[i] += w;
    }
    all.push_back(std::move(tap));
  }
  std::vector<Tap> taps;
  for (Tap& tap : all) {
    for (size_t i = 0; i < at.size(); ++i) {
      if (sum[i] > 0) tap.weight[i] /= sum[i];
    }
    add(taps, std::move(tap), n);
  }
  return taps;
}

float triangle(float x) { return std::max(1 - x, 0.0f); }
float soft_cubic(float x) { return cubic(x, -0.5f); }

// Factors for each spatial axis, checked.
Scales scales_for(std::string_view op, const array& x, Scales scale) {
  const int axes = x.ndim() - 2;
  if (axes <= 0) {
    invalid(op,
            fmt::format("the input is {}; expected a batch, at least one "
                        "spatial axis, and channels.",
                        to_string(x.spec())));
  }
  if (scale.size() == 1) scale.resize(size_t(axes), scale[0]);
  if (scale.size() != size_t(axes)) {
    invalid(op,
            fmt::format("got {} factors for {} spatial axes; expected one for "
                        "each, or one for all.",
                        scale.size(),
                        axes));
  }
  for (size_t a = 0; a < scale.size(); ++a) {
    if (!(scale[a] > 0) || !(scale[a] * double(x.shape(int(a) + 1)) < 2e9)) {
      invalid(op,
              fmt::format("the factor of axis {} is {}; expected a positive "
                          "one.",
                          a + 1,
                          scale[a]));
    }
  }
  return scale;
}

array vector_of(const std::vector<int32_t>& v) {
  return array::from(v.data(), {int64_t(v.size())});
}

// The taps of each result element in the order of what they read.
Band band_of(const std::vector<Tap>& taps, int64_t n, int64_t results) {
  Band band;
  band.in = n;
  for (size_t i = 0; i < size_t(results); ++i) {
    int64_t low = n, high = 0;
    for (const Tap& t : taps) {
      low = std::min<int64_t>(low, t.index[i]);
      high = std::max<int64_t>(high, t.index[i] + 1);
    }
    std::vector<double> entries(size_t(std::max<int64_t>(high - low, 0)));
    for (const Tap& t : taps) entries[size_t(t.index[i] - low)] += t.weight[i];
    band.add(low, entries);
  }
  return band;
}

using Taps = std::function<std::vector<Tap>(int64_t n, double scale)>;

array interpolate(std::string_view op,
                  const array& x,
                  const Scales& given,
                  const Interpolation& how,
                  const Taps& taps_of) {
  if (how.align_corners && how.antialias) {
    invalid(op,
            "antialias together with align_corners is not supported; set "
            "align_corners to false.");
  }
  const Scales scale = scales_for(op, x, given);
  std::vector<Band> bands;
  for (size_t a = 0; a < scale.size(); ++a) {
    const int64_t n = x.shape(int(a) + 1);
    bands.push_back(
        band_of(taps_of(n, scale[a]), n, scaled_length(n, scale[a])));
  }
  return banded_product(
      astype(x, promote_types(x.dtype(), float32)), 1, std::move(bands));
}

std::vector<int32_t> nearest(int64_t n, double scale) {
  const int64_t m = scaled_length(n, scale);
  std::vector<int32_t> index;
  const float step = float(double(n) / double(m));
  for (int64_t i = 0; i < m; ++i) {
    const float at = m > n ? std::nearbyint((float(i) + 0.5f) * step - 0.5f)
                           : float(i) * step;
    index.push_back(std::clamp<int32_t>(int32_t(at), 0, int32_t(n - 1)));
  }
  return index;
}

// Each element `times` times along an axis.
array repeated(const array& x, int axis, int64_t times) {
  Shape wide = x.shape(), whole = x.shape();
  wide.insert(wide.begin() + axis + 1, times);
  whole[size_t(axis)] *= times;
  return reshape(broadcast_to(expand_dims(x, axis + 1), wide), whole);
}

}  // namespace

array upsample_nearest(const array& x, const Scales& given) {
  const Scales scale = scales_for("upsample_nearest", x, given);
  const bool by_band = x.dtype() == float32 || x.dtype() == float64;
  std::vector<Band> bands;
  array y = x;
  for (size_t a = 0; a < scale.size(); ++a) {
    const int axis = int(a) + 1;
    const int64_t n = x.shape(axis);
    const bool whole = scale[a] == std::floor(scale[a]);
    if (by_band) {
      Band band;
      band.in = n;
      const int64_t times = int64_t(scale[a]);
      if (whole) {
        for (int64_t i = 0; i < n * times; ++i) band.add(i / times, {1});
      } else {
        for (int32_t i : nearest(n, scale[a])) band.add(i, {1});
      }
      bands.push_back(std::move(band));
    } else {
      y = whole ? repeated(y, axis, int64_t(scale[a]))
                : take(y, vector_of(nearest(n, scale[a])), axis);
    }
  }
  return by_band ? banded_product(x, 1, std::move(bands)) : y;
}

array upsample_linear(const array& x,
                      const Scales& scale,
                      const Interpolation& how) {
  return interpolate(
      "upsample_linear", x, scale, how, [&](int64_t n, double s) {
        return how.antialias ? wide_taps(n, s, 1, triangle)
                             : linear_taps(n, s, how.align_corners);
      });
}

array upsample_cubic(const array& x,
                     const Scales& scale,
                     const Interpolation& how) {
  return interpolate("upsample_cubic", x, scale, how, [&](int64_t n, double s) {
    return how.antialias ? wide_taps(n, s, 2, soft_cubic)
                         : cubic_taps(n, s, how.align_corners);
  });
}

}  // namespace treadle::nn
