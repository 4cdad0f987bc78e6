// Resampling of spatial axes. x (N, ..., C) -> the same with other lengths: an
// axis of n elements gets floor(scale n).
#pragma once

#include <string_view>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle::nn {

// One factor for each spatial axis, or one for all.
using Scales = std::vector<double>;

// The element whose place is nearest. Whole factors repeat elements.
array upsample_nearest(const array& x, const Scales& scale);

// How places between elements are computed. With align_corners the first and
// the last elements of input and output lie at the same places, else the outer
// edges do. With antialias, of factors below one, every result is a mean over
// all elements around its place. Both together throw std::invalid_argument.
struct Interpolation {
  bool align_corners = false;
  bool antialias = false;
};

// Between the two elements around a place. Results are floating.
array upsample_linear(const array& x,
                      const Scales& scale,
                      const Interpolation& how = {});
// A cubic through four elements, with a = -0.75, or -0.5 with antialias.
// (Keys 1981)
array upsample_cubic(const array& x,
                     const Scales& scale,
                     const Interpolation& how = {});

}  // namespace treadle::nn
