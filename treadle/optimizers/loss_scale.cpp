#include "treadle/optimizers/loss_scale.h"

#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/numbers.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle::optimizers {

namespace {

array at_least_single(const array& x) {
  return is_half(x.dtype()) ? astype(x, float32) : x;
}

// What `parameters` have at the places of `gradients`.
Arrays at_places_of(const Tree& gradients, const Tree& parameters) {
  std::unordered_map<std::string, array> at;
  for (auto& [path, value] : parameters.flatten()) at.emplace(path, value);
  Arrays out;
  for (const auto& [path, value] : gradients.flatten()) {
    out.push_back(at.at(path));  // apply_gradients has found it too
  }
  return out;
}

}  // namespace

array all_finite(ArraySpan arrays) {
  array finite(true);
  for (const array& x : arrays) {
    if (is_inexact(x.dtype())) finite = logical_and(finite, all(isfinite(x)));
  }
  return finite;
}

array scaled(const array& loss, const array& scale) {
  return at_least_single(loss) * scale;
}

Arrays unscale(ArraySpan values, const array& scale) {
  const array factor = reciprocal(scale);
  Arrays out;
  for (const array& x : values) {
    out.push_back(is_inexact(x.dtype())
                      ? astype(at_least_single(x) * factor, x.dtype())
                      : x);
  }
  return out;
}

Arrays keep_if(const array& finite, ArraySpan now, ArraySpan before) {
  Arrays out;
  for (size_t i = 0; i < now.size(); ++i) {
    out.push_back(same_array(now[i], before[i])
                      ? now[i]
                      : select(finite, now[i], before[i]));
  }
  return out;
}

ScaleStep next_scale(const ScaleStep& state,
                     const array& finite,
                     const LossScaleOptions& o) {
  const array count = select(finite, state.good_steps + 1, 0);
  const array grows = greater_equal(count, o.interval);
  const array larger =
      minimum(state.scale * o.growth, std::numeric_limits<float>::max() / 4);
  const array smaller = maximum(state.scale * o.backoff, 1.0);
  return {
      select(finite, select(grows, larger, state.scale), smaller),
      select(grows, 0, count),
  };
}

LossScale::LossScale(const LossScaleOptions& o) : options_(o) {
  if (!(o.initial >= 1 && std::isfinite(o.initial)) || !(o.growth >= 1) ||
      !(o.backoff > 0 && o.backoff <= 1) || o.interval < 1) {
    invalid("LossScale",
            fmt::format("got initial={}, growth={}, backoff={}, interval={}; "
                        "expected initial and growth of at least 1, a backoff "
                        "above 0 and at most 1, and at least one step.",
                        o.initial,
                        o.growth,
                        o.backoff,
                        o.interval));
  }
  state_["scale"] = Tree(array(o.initial, float32));
  state_["good_steps"] = Tree(array(0, int32));
}

array LossScale::unscaled(const array& value) const {
  return unscale({&value, 1}, scale())[0];
}

Tree LossScale::unscaled(const Tree& gradients) const {
  return gradients.with_leaves(unscale(gradients.leaves(), scale()));
}

LossScale::Updated LossScale::updated(Optimizer& optimizer,
                                      const Tree& gradients,
                                      const Tree& parameters,
                                      const Tree& trainable) {
  optimizer.init(trainable);
  const Tree before = optimizer.state();
  const array finite = all_finite(gradients.leaves());
  const Tree now = optimizer.apply_gradients(gradients, parameters);
  const Tree& after = optimizer.state();
  if (!after.same_structure(before)) {
    invalid("LossScale",
            "the optimizer has another state after a step than before it; "
            "expected all of it to be there after init().");
  }
  Updated u;
  u.finite = finite;
  u.parameters = now.with_leaves(
      keep_if(finite, now.leaves(), at_places_of(gradients, parameters)));
  optimizer.set_state(
      after.with_leaves(keep_if(finite, after.leaves(), before.leaves())));
  const ScaleStep next =
      next_scale({scale(), state_.at("good_steps").leaf()}, finite, options_);
  state_["scale"] = Tree(next.scale);
  state_["good_steps"] = Tree(next.good_steps);
  return u;
}

CapturedState captured(LossScale& scale) {
  return {[&scale] { return scale.state().leaves(); },
          [&scale](const Arrays& values) {
            scale.set_state(scale.state().with_leaves(values));
          }};
}

}  // namespace treadle::optimizers
