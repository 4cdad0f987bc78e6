#include "treadle/ops/gated_delta.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/scan.h"
#include "treadle/ops/views.h"

namespace treadle::fast {

namespace {

constexpr std::string_view kOp = "gated_delta_update";

void check(const array& x, std::string_view name, const Shape& shape) {
  if (x.null() || x.shape() == shape) return;
  invalid(kOp,
          fmt::format("{} has shape {}; expected {}.",
                      name,
                      to_string(x.shape()),
                      to_string(shape)));
}

}  // namespace

std::pair<array, array> gated_delta_update(const array& q,
                                           const array& k,
                                           const array& v,
                                           const array& gamma,
                                           const array& beta,
                                           const array& initial_state,
                                           const array& mask,
                                           StreamOrDevice s) {
  StreamScope scope(resolve(s));
  if (q.ndim() != 4 || v.ndim() != 4) {
    invalid(kOp,
            fmt::format("got queries {} and values {}; expected "
                        "(batch, time, heads, size).",
                        to_string(q.spec()),
                        to_string(v.spec())));
  }
  const int64_t b = q.shape(0), t = q.shape(1), hk = q.shape(2),
                dk = q.shape(3), hv = v.shape(2), dv = v.shape(3);
  if (hk == 0 || hv % hk != 0) {
    invalid(kOp,
            fmt::format("got {} value heads for {} query heads; expected a "
                        "multiple.",
                        hv,
                        hk));
  }
  const bool columns = gamma.ndim() == 4;
  check(k, "k", {b, t, hk, dk});
  check(v, "v", {b, t, hv, dv});
  check(gamma, "gamma", columns ? Shape{b, t, hv, dk} : Shape{b, t, hv});
  check(beta, "beta", {b, t, hv});
  check(initial_state, "the initial state", {b, hv, dv, dk});
  check(mask, "the mask", {b, t});
  for (const array* x : {&q, &k, &v, &gamma, &beta}) {
    if (is_floating(x->dtype())) continue;
    invalid(
        kOp,
        fmt::format("got {}; expected floating dtypes.", name_of(x->dtype())));
  }
  auto steps = [](const array& x) {
    return moveaxis(astype(x, float32), 1, 0);
  };
  auto heads = [&](const array& x) {
    return hv == hk ? x : repeat(x, int(hv / hk), 2);
  };
  Arrays xs{
      steps(heads(q)), steps(heads(k)), steps(v), steps(gamma), steps(beta)};
  if (!mask.null()) xs.push_back(moveaxis(not_equal(mask, 0), 1, 0));
  const array state = initial_state.null() ? zeros({b, hv, dv, dk})
                                           : astype(initial_state, float32);
  auto step = [&](const Arrays& carry, const Arrays& x) -> ScanStep {
    const array key = expand_dims(x[1], -2);
    const array keep =
        columns ? expand_dims(x[3], -2) : expand_dims(x[3], Axes{-2, -1});
    array next = carry[0] * keep;
    const array d = expand_dims(x[4], -1) * (x[2] - sum(next * key, -1));
    next = next + expand_dims(d, -1) * key;
    array y = sum(next * expand_dims(x[0], -2), -1);
    if (x.size() > 5) {
      y = select(expand_dims(x[5], Axes{-2, -1}), y, 0);
      next = select(expand_dims(x[5], Axes{-3, -2, -1}), next, carry[0]);
    }
    return {{next}, {y}};
  };
  auto [last, ys] = scan(step, {state}, xs);
  return {astype(moveaxis(ys[0], 0, 1), q.dtype()), last[0]};
}

}  // namespace treadle::fast
