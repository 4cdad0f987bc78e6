#include "treadle/optimizers/ema.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle::optimizers {

Arrays ema_update(ArraySpan averages,
                  ArraySpan parameters,
                  const array& decay) {
  Arrays out;
  for (size_t i = 0; i < averages.size(); ++i) {
    const array& a = averages[i];
    const array p = astype(parameters[i], a.dtype());
    out.push_back(
        is_inexact(a.dtype()) ? a + astype(1 - decay, a.dtype()) * (p - a) : p);
  }
  return out;
}

array ema_warmup(const array& updates, double decay) {
  const array n = astype(updates, float32);
  return minimum((n + 1) / (n + 10), decay);
}

EMA::EMA(const Tree& parameters, const EmaOptions& options)
    : options_(options) {
  if (!(options.decay >= 0 && options.decay < 1)) {
    invalid("EMA",
            fmt::format("the decay is {}; expected at least 0 and below 1.",
                        options.decay));
  }
  state_["updates"] = Tree(array(0, int32));
  state_["average"] = parameters.map_leaves([](const array& p) {
    return is_half(p.dtype()) ? astype(p, float32) : p;
  });
}

void EMA::check(const Tree& parameters) const {
  if (average().same_structure(parameters)) return;
  invalid("EMA",
          fmt::format("the model has {} trainable parameters, {} are averaged; "
                      "expected the same.",
                      parameters.num_leaves(),
                      average().num_leaves()));
}

void EMA::update(const Tree& parameters) {
  check(parameters);
  const array n = state_.at("updates").leaf();
  const array decay = options_.warmup ? ema_warmup(n, options_.decay)
                                      : array(options_.decay, float32);
  state_["average"] = average().with_leaves(
      ema_update(average().leaves(), parameters.leaves(), decay));
  state_["updates"] = Tree(n + 1);
}

Tree EMA::as(const Tree& parameters) const {
  check(parameters);
  return Tree::zip(average(), parameters, [](const array& a, const array& p) {
    return astype(a, p.dtype());
  });
}

CapturedState captured(EMA& ema) {
  return {[&ema] { return ema.state().leaves(); },
          [&ema](const Arrays& values) {
            ema.set_state(ema.state().with_leaves(values));
          }};
}

}  // namespace treadle::optimizers
