// treadle._core._optimizers: what training has besides update rules: scales of
// losses and averages of parameters.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include "treadle/optimizers/ema.h"
#include "treadle/optimizers/loss_scale.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

using namespace nb::literals;
using namespace treadle::optimizers;

void bind_training(nb::module_& core) {
  nb::module_ m = nb::borrow<nb::module_>(core.attr("_optimizers"));
  m.def(
      "all_finite",
      [](const Arrays& arrays) { return all_finite(arrays); },
      "arrays"_a,
      "True when all numbers of all arrays are finite.");
  m.def(
      "unscale",
      [](const Arrays& values, const array& scale) {
        return unscale(values, scale);
      },
      "values"_a,
      "scale"_a,
      "values / scale, in float32 or wider and then in each one's dtype.");
  m.def(
      "keep_if",
      [](const array& finite, const Arrays& now, const Arrays& before) {
        return keep_if(finite, now, before);
      },
      "finite"_a,
      "now"_a,
      "before"_a,
      "`now` where finite, else `before`.");
  m.def(
      "check_loss_scale",
      [](double initial, double growth, double backoff, int interval) {
        return LossScale({initial, growth, backoff, interval}).scale();
      },
      "initial"_a,
      "growth"_a,
      "backoff"_a,
      "interval"_a,
      "The first scale, after checking the numbers.");
  m.def(
      "scale_loss",
      [](const array& loss, const array& scale) { return scaled(loss, scale); },
      "loss"_a,
      "scale"_a,
      "The loss in float32 or wider, times the scale.");
  m.def(
      "next_scale",
      [](const array& scale,
         const array& good_steps,
         const array& finite,
         double growth,
         double backoff,
         int interval) {
        ScaleStep next = next_scale(
            {scale, good_steps},
            finite,
            {.growth = growth, .backoff = backoff, .interval = interval});
        return std::pair(std::move(next.scale), std::move(next.good_steps));
      },
      "scale"_a,
      "good_steps"_a,
      "finite"_a,
      "growth"_a,
      "backoff"_a,
      "interval"_a,
      "Scale and number of finite steps in a row after one more.");
  m.def(
      "ema_update",
      [](const Arrays& averages, const Arrays& parameters, const array& decay) {
        return ema_update(averages, parameters, decay);
      },
      "averages"_a,
      "parameters"_a,
      "decay"_a,
      "average + (1 - decay) (parameter - average).");
  m.def("ema_warmup",
        &ema_warmup,
        "updates"_a,
        "decay"_a,
        "min(decay, (1 + n) / (10 + n)) after n updates.");
}

}  // namespace treadle::python
