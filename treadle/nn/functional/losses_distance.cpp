// Losses that compare numbers, and rank or align vectors.
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/nn/functional/losses.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle::nn {

namespace {

void check_equal(std::string_view op, const array& a, const array& b) {
  if (a.shape() == b.shape()) return;
  invalid(op,
          fmt::format("predictions are {} and targets {}; expected equal "
                      "shapes.",
                      to_string(a.spec()),
                      to_string(b.spec())));
}

// d^2 / 2 up to delta, then the tangent: n (d - n / 2) with n = min(d, delta).
array huber(const array& d, double delta) {
  array near = minimum(d, delta);
  return near * (d - 0.5 * near);
}

}  // namespace

array l1_loss(const array& predictions,
              const array& targets,
              Reduction reduction) {
  check_equal("l1_loss", predictions, targets);
  return reduction(abs(predictions - targets));
}

array mse_loss(const array& predictions,
               const array& targets,
               Reduction reduction) {
  check_equal("mse_loss", predictions, targets);
  return reduction(square(predictions - targets));
}

array smooth_l1_loss(const array& predictions,
                     const array& targets,
                     double beta,
                     Reduction reduction) {
  check_equal("smooth_l1_loss", predictions, targets);
  array d = abs(predictions - targets);
  if (beta == 0) return reduction(d);
  return reduction(huber(d, beta) * (1 / beta));
}

array huber_loss(const array& inputs,
                 const array& targets,
                 double delta,
                 Reduction reduction) {
  return reduction(huber(abs(inputs - targets), delta));
}

array log_cosh_loss(const array& inputs,
                    const array& targets,
                    Reduction reduction) {
  array d = inputs - targets;
  return reduction(logaddexp(d, -d) - std::numbers::ln2);
}

array gaussian_nll_loss(const array& inputs,
                        const array& targets,
                        const array& vars,
                        bool full,
                        double eps,
                        Reduction reduction) {
  check_equal("gaussian_nll_loss", inputs, targets);
  check_equal("gaussian_nll_loss", inputs, vars);
  array v = maximum(vars, eps);
  array loss = 0.5 * (log(v) + square(targets - inputs) / v);
  if (full) loss = loss + 0.5 * std::log(2 * std::numbers::pi);
  return reduction(loss);
}

array hinge_loss(const array& inputs,
                 const array& targets,
                 Reduction reduction) {
  return reduction(maximum(1 - inputs * targets, 0));
}

array triplet_loss(const array& anchors,
                   const array& positives,
                   const array& negatives,
                   int axis,
                   double p,
                   double margin,
                   double eps,
                   Reduction reduction) {
  auto distance = [&](const array& x) {
    return power(sum(power(abs(anchors - x), p), axis) + eps, 1 / p);
  };
  array near = distance(positives), far = distance(negatives);
  return reduction(maximum(near - far + margin, 0));
}

array cosine_similarity_loss(const array& x1,
                             const array& x2,
                             int axis,
                             double eps,
                             Reduction reduction) {
  // In half types eps would be 0. The root has no slope at 0, so a length is at
  // least that of the least normal number.
  const Dtype dtype = at_least_float(promote_types(x1.dtype(), x2.dtype()));
  const Dtype wide = promote_types(dtype, float32);
  const array a = astype(x1, wide), b = astype(x2, wide);
  auto length = [&](const array& x) {
    constexpr double least = std::numeric_limits<float>::min();
    return sqrt(maximum(sum(square(x), axis), least));
  };
  const array cosine = sum(a * b, axis) / maximum(length(a) * length(b), eps);
  return reduction(astype(cosine, dtype));
}

array margin_ranking_loss(const array& inputs1,
                          const array& inputs2,
                          const array& targets,
                          double margin,
                          Reduction reduction) {
  check_equal("margin_ranking_loss", inputs1, inputs2);
  check_equal("margin_ranking_loss", inputs1, targets);
  return reduction(maximum(margin - targets * (inputs1 - inputs2), 0));
}

}  // namespace treadle::nn
