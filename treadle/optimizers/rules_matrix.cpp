// Muon and Adafactor, which treat a weight as a matrix.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/factored_squares.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"
#include "treadle/optimizers/per_dtype.h"
#include "treadle/optimizers/rules.h"

namespace treadle::optimizers {

array newton_schulz(const array& x, int steps) {
  if (x.ndim() != 2) {
    invalid("newton_schulz",
            fmt::format("got {}; expected a matrix.", to_string(x.spec())));
  }
  constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
  // The products are square in the smaller length.
  const bool tall = x.shape(0) > x.shape(1);
  array y = tall ? transpose(x) : x;
  y = y / (sqrt(sum(square(y))) + 1e-7);
  for (int i = 0; i < steps; ++i) {
    array p = matmul(y, transpose(y));
    array q = addmm(b * p, p, p, c);
    y = addmm(a * y, q, y);
  }
  return tall ? transpose(y) : y;
}

SgdStep muon_update(ArraySpan gradients,
                    ArraySpan parameters,
                    ArraySpan velocities,
                    const array& lr,
                    const MuonOptions& o) {
  SgdStep out;
  PerDtype rate_of(lr);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array& w = parameters[i];
    array g = gradients[i], rate = rate_of(g);
    if (o.weight_decay != 0) g = g + o.weight_decay * w;
    array v = o.momentum * velocities[i] + (1 - o.momentum) * g;
    array u = o.nesterov ? g * (1 - o.momentum) + v * o.momentum : v;
    if (u.ndim() >= 2 && u.size() > 0) {
      array matrix = reshape(u, {u.shape(0), -1});
      u = reshape(newton_schulz(matrix, o.ns_steps), u.shape());
      double ratio = double(u.shape(-2)) / double(u.shape(-1));
      rate = rate * std::sqrt(std::max(1.0, ratio));
    }
    out.parameters.push_back(w - rate * u);
    out.velocities.push_back(v);
  }
  return out;
}

namespace {

array rms(const array& x) { return sqrt(mean(square(x))); }

// The update is g / sqrt v, where v_ij = row_i column_j / mean(row) stands for
// the mean of g^2 at a place.
struct Update {
  array value, rms;
};

// The mean of the update's squares is that over j of S_j mean(row) / column_j,
// where S_j, the share of column j, is the mean over i of g_ij^2 / row_i.
Update factored(const array& g,
                const array& row,
                const array& column,
                const array& shares) {
  const array middle = mean(row, -1, true);
  const array size = sqrt(mean(shares * (middle / column)));
  const array by_row = expand_dims(rsqrt(row / middle), -1);
  return {by_row * expand_dims(rsqrt(column), -2) * g, size};
}

array relative_rate(const array& step, const AdafactorOptions& o) {
  array root = rsqrt(astype(step, float32));
  return o.warmup_init ? minimum(1e-6 * step, root) : minimum(0.01, root);
}

}  // namespace

AdafactorStep adafactor_update(ArraySpan gradients,
                               ArraySpan parameters,
                               std::span<const AdafactorState> states,
                               const array& lr,
                               const array& step,
                               const AdafactorOptions& o) {
  if (!o.relative_step && lr.null()) {
    invalid("Adafactor",
            "without relative_step there must be a learning rate; got none.");
  }
  AdafactorStep out;
  PerDtype rate_of(o.relative_step ? relative_rate(step, o) : lr);
  PerDtype old_share([decay = power(step, o.decay_rate)](Dtype d) {
    return 1 - astype(decay, d);
  });
  for (size_t i = 0; i < gradients.size(); ++i) {
    const array& g = gradients[i];
    array w = parameters[i];
    AdafactorState s = states[i];
    const array& kept = old_share(w);
    auto average = [&kept](const array& old, const array& now) {
      return kept * old + (1 - kept) * now;
    };
    array rate = rate_of(w);
    if (o.scale_parameter) rate = maximum(rms(w), o.eps2) * rate;

    Update u;
    if (g.ndim() >= 2) {
      const Arrays sums = factored_squares(g, s.row, kept, o.eps1);
      s.row = sums[0];
      s.column = average(s.column, sums[1] + o.eps1);
      u = factored(g, s.row, s.column, sums[2]);
    } else {
      s.full = average(s.full, square(g) + o.eps1);
      u.value = rsqrt(s.full) * g;
      u.rms = rms(u.value);
    }
    // One division of two numbers, not one for each element.
    array update = (rate / maximum(u.rms / o.clip_threshold, 1)) * u.value;
    if (o.beta1) {
      s.moment = *o.beta1 * s.moment + (1 - *o.beta1) * update;
      update = s.moment;
    }
    if (o.weight_decay != 0) w = w + w * (-o.weight_decay * rate);
    out.parameters.push_back(w - update);
    out.states.push_back(s);
  }
  return out;
}

}  // namespace treadle::optimizers
