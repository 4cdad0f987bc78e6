#include "treadle/optimizers/clip.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle::optimizers {

namespace {

array squared_norm(const array& g) {
  bool half = is_floating(g.dtype()) && size_of(g.dtype()) == 2;
  return sum(square(half ? astype(g, float32) : g));
}

}  // namespace

ClippedArrays clip_grad_norm(ArraySpan gradients, double max_norm) {
  if (!(max_norm >= 0)) {
    invalid("clip_grad_norm",
            fmt::format("max_norm is {}; expected 0 or more.", max_norm));
  }
  array total(0.0f);
  for (const array& g : gradients) total = total + squared_norm(g);
  ClippedArrays out{{}, sqrt(total)};
  array factor = minimum(max_norm / (out.norm + 1e-6), 1.0);
  for (const array& g : gradients) {
    // Scaled before it is rounded: in float16 a small factor would be 0.
    array scaled = g * factor;
    out.gradients.push_back(is_floating(g.dtype()) ? astype(scaled, g.dtype())
                                                   : scaled);
  }
  return out;
}

ClippedGradients clip_grad_norm(const Tree& gradients, double max_norm) {
  ClippedArrays clipped = clip_grad_norm(gradients.leaves(), max_norm);
  return {gradients.with_leaves(clipped.gradients), std::move(clipped.norm)};
}

}  // namespace treadle::optimizers
