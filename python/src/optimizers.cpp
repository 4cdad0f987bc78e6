// treadle._core._optimizers: the update rules over lists of arrays, and
// schedules.
#include <tuple>

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "treadle/base/error.h"
#include "treadle/optimizers/clip.h"
#include "treadle/optimizers/paths.h"
#include "treadle/optimizers/rules.h"
#include "treadle/optimizers/schedules.h"

#include "bindings.h"
#include "convert.h"

namespace treadle::python {

using namespace nb::literals;
using namespace treadle::optimizers;

namespace {

// Each list must have an entry for each gradient, of its shape.
void check(std::string_view op,
           const Arrays& gradients,
           std::initializer_list<const Arrays*> lists) {
  for (const Arrays* list : lists) {
    if (list->size() != gradients.size()) {
      invalid(op,
              fmt::format("{} gradients and {} arrays that go with them; "
                          "expected equal numbers.",
                          gradients.size(),
                          list->size()));
    }
    for (size_t i = 0; i < list->size(); ++i) {
      if ((*list)[i].shape() != gradients[i].shape()) {
        invalid(op,
                fmt::format("gradient {} has shape {}, its parameter or "
                            "state {}; expected equal shapes.",
                            i,
                            to_string(gradients[i].shape()),
                            to_string((*list)[i].shape())));
      }
    }
  }
}

AdamOptions adam_options(double beta1,
                         double beta2,
                         double eps,
                         bool bias_correction) {
  return {.beta1 = beta1,
          .beta2 = beta2,
          .eps = eps,
          .bias_correction = bias_correction};
}

std::tuple<Arrays, Arrays, Arrays> to_tuple(AdamStep s) {
  return {std::move(s.parameters),
          std::move(s.first_moments),
          std::move(s.second_moments)};
}

void bind_adaptive(nb::module_& m) {
  m.def(
      "adamax_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         const Arrays& m,
         const Arrays& v,
         const array& lr,
         double beta1,
         double beta2,
         double eps) {
        check("Adamax", gradients, {&parameters, &m, &v});
        return to_tuple(adamax_update(
            gradients, parameters, m, v, lr, {beta1, beta2, eps}));
      },
      "gradients"_a,
      "parameters"_a,
      "first_moments"_a,
      "norms"_a,
      "lr"_a,
      nb::kw_only(),
      "beta1"_a = 0.9,
      "beta2"_a = 0.999,
      "eps"_a = 1e-8,
      "Returns the new parameters, first moments and norms.");
  m.def(
      "adagrad_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         const Arrays& squares,
         const array& lr,
         double eps) {
        check("Adagrad", gradients, {&parameters, &squares});
        SquaresStep s = adagrad_update(gradients, parameters, squares, lr, eps);
        return std::tuple(std::move(s.parameters), std::move(s.squares));
      },
      "gradients"_a,
      "parameters"_a,
      "squares"_a,
      "lr"_a,
      nb::kw_only(),
      "eps"_a = 1e-8,
      "Returns the new parameters and sums of squares.");
  m.def(
      "rmsprop_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         const Arrays& squares,
         const array& lr,
         double alpha,
         double eps) {
        check("RMSprop", gradients, {&parameters, &squares});
        SquaresStep s =
            rmsprop_update(gradients, parameters, squares, lr, alpha, eps);
        return std::tuple(std::move(s.parameters), std::move(s.squares));
      },
      "gradients"_a,
      "parameters"_a,
      "squares"_a,
      "lr"_a,
      nb::kw_only(),
      "alpha"_a = 0.99,
      "eps"_a = 1e-8,
      "Returns the new parameters and means of squares.");
  m.def(
      "adadelta_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         const Arrays& squares,
         const Arrays& updates,
         const array& lr,
         double rho,
         double eps) {
        check("AdaDelta", gradients, {&parameters, &squares, &updates});
        AdaDeltaStep s = adadelta_update(
            gradients, parameters, squares, updates, lr, rho, eps);
        return std::tuple(std::move(s.parameters),
                          std::move(s.squares),
                          std::move(s.updates));
      },
      "gradients"_a,
      "parameters"_a,
      "squares"_a,
      "updates"_a,
      "lr"_a,
      nb::kw_only(),
      "rho"_a = 0.9,
      "eps"_a = 1e-6,
      "Returns the new parameters, means of squares and of squared updates.");
  m.def(
      "lion_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         const Arrays& moments,
         const array& lr,
         double beta1,
         double beta2,
         double weight_decay) {
        check("Lion", gradients, {&parameters, &moments});
        LionStep s = lion_update(
            gradients, parameters, moments, lr, {beta1, beta2, weight_decay});
        return std::tuple(std::move(s.parameters), std::move(s.moments));
      },
      "gradients"_a,
      "parameters"_a,
      "moments"_a,
      "lr"_a,
      nb::kw_only(),
      "beta1"_a = 0.9,
      "beta2"_a = 0.99,
      "weight_decay"_a = 0.0,
      "Returns the new parameters and moments.");
}

array entry(const nb::dict& state, const char* name) {
  return state.contains(name) ? array_of(state[name]) : array();
}
void put(nb::dict& state, const char* name, const array& value) {
  if (!value.null()) state[name] = wrap(value);
}

void bind_matrix(nb::module_& m) {
  m.def(
      "muon_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         const Arrays& velocities,
         const array& lr,
         double momentum,
         double weight_decay,
         bool nesterov,
         int ns_steps) {
        check("Muon", gradients, {&parameters, &velocities});
        SgdStep s = muon_update(gradients,
                                parameters,
                                velocities,
                                lr,
                                {momentum, weight_decay, nesterov, ns_steps});
        return std::tuple(std::move(s.parameters), std::move(s.velocities));
      },
      "gradients"_a,
      "parameters"_a,
      "velocities"_a,
      "lr"_a,
      nb::kw_only(),
      "momentum"_a = 0.95,
      "weight_decay"_a = 0.01,
      "nesterov"_a = true,
      "ns_steps"_a = 5,
      "Returns the new parameters and velocities.");
  m.def(
      "adafactor_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         std::vector<nb::dict> states,
         const array* lr,
         const array& step,
         std::pair<double, double> eps,
         double clip_threshold,
         double decay_rate,
         std::optional<double> beta_1,
         double weight_decay,
         bool scale_parameter,
         bool relative_step,
         bool warmup_init) {
        check("Adafactor", gradients, {&parameters});
        std::vector<AdafactorState> now;
        for (const nb::dict& s : states) {
          now.push_back({entry(s, "exp_avg_sq_row"),
                         entry(s, "exp_avg_sq_col"),
                         entry(s, "exp_avg_sq"),
                         entry(s, "exp_avg")});
        }
        AdafactorStep s = adafactor_update(gradients,
                                           parameters,
                                           now,
                                           lr ? *lr : array(),
                                           step,
                                           {eps.first,
                                            eps.second,
                                            clip_threshold,
                                            decay_rate,
                                            beta_1,
                                            weight_decay,
                                            scale_parameter,
                                            relative_step,
                                            warmup_init});
        for (size_t i = 0; i < states.size(); ++i) {
          put(states[i], "exp_avg_sq_row", s.states[i].row);
          put(states[i], "exp_avg_sq_col", s.states[i].column);
          put(states[i], "exp_avg_sq", s.states[i].full);
          put(states[i], "exp_avg", s.states[i].moment);
        }
        return std::move(s.parameters);
      },
      "gradients"_a,
      "parameters"_a,
      "states"_a,
      "lr"_a.none(),
      "step"_a,
      nb::kw_only(),
      "eps"_a = std::pair(1e-30, 1e-3),
      "clip_threshold"_a = 1.0,
      "decay_rate"_a = -0.8,
      "beta_1"_a = nb::none(),
      "weight_decay"_a = 0.0,
      "scale_parameter"_a = true,
      "relative_step"_a = true,
      "warmup_init"_a = false,
      "Returns the new parameters and replaces the entries of the states.");
}

}  // namespace

void bind_optimizers(nb::module_& core) {
  nb::module_ m = core.def_submodule(
      "_optimizers", "Update rules: one step for lists of parameters.");

  m.def(
      "sgd_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         const Arrays& velocities,
         const array& lr,
         double momentum,
         double weight_decay,
         double dampening,
         bool nesterov) {
        check("SGD", gradients, {&parameters, &velocities});
        SgdStep s = sgd_update(gradients,
                               parameters,
                               velocities,
                               lr,
                               {.momentum = momentum,
                                .weight_decay = weight_decay,
                                .dampening = dampening,
                                .nesterov = nesterov});
        return std::tuple(std::move(s.parameters), std::move(s.velocities));
      },
      "gradients"_a,
      "parameters"_a,
      "velocities"_a,
      "lr"_a,
      nb::kw_only(),
      "momentum"_a = 0.0,
      "weight_decay"_a = 0.0,
      "dampening"_a = 0.0,
      "nesterov"_a = false,
      "Returns the new parameters and velocities.");
  m.def(
      "adam_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         const Arrays& m,
         const Arrays& v,
         const array& lr,
         const array& step,
         double beta1,
         double beta2,
         double eps,
         bool bias_correction) {
        check("Adam", gradients, {&parameters, &m, &v});
        return to_tuple(
            adam_update(gradients,
                        parameters,
                        m,
                        v,
                        lr,
                        step,
                        adam_options(beta1, beta2, eps, bias_correction)));
      },
      "gradients"_a,
      "parameters"_a,
      "first_moments"_a,
      "second_moments"_a,
      "lr"_a,
      "step"_a,
      nb::kw_only(),
      "beta1"_a = 0.9,
      "beta2"_a = 0.999,
      "eps"_a = 1e-8,
      "bias_correction"_a = false,
      "Returns the new parameters, first and second moments.");
  m.def(
      "adamw_update",
      [](const Arrays& gradients,
         const Arrays& parameters,
         const Arrays& m,
         const Arrays& v,
         const array& lr,
         const array& step,
         double weight_decay,
         double beta1,
         double beta2,
         double eps,
         bool bias_correction) {
        check("AdamW", gradients, {&parameters, &m, &v});
        return to_tuple(
            adamw_update(gradients,
                         parameters,
                         m,
                         v,
                         lr,
                         step,
                         weight_decay,
                         adam_options(beta1, beta2, eps, bias_correction)));
      },
      "gradients"_a,
      "parameters"_a,
      "first_moments"_a,
      "second_moments"_a,
      "lr"_a,
      "step"_a,
      nb::kw_only(),
      "weight_decay"_a = 0.01,
      "beta1"_a = 0.9,
      "beta2"_a = 0.999,
      "eps"_a = 1e-8,
      "bias_correction"_a = false,
      "Returns the new parameters, first and second moments.");

  bind_adaptive(m);
  bind_matrix(m);

  m.def(
      "key_of",
      [](const std::vector<std::string>& keys, std::string_view path) {
        return key_of(keys, path);
      },
      "keys"_a,
      "path"_a,
      "The number of the key that takes a parameter at a path; None for none.");

  m.def(
      "check_keys",
      [](std::string_view op,
         const std::vector<std::string>& keys,
         const std::vector<std::string>& paths) {
        check_keys(op, keys, paths);
      },
      "op"_a,
      "keys"_a,
      "paths"_a,
      "Raises ValueError for the first key that covers none of the paths.");

  m.def(
      "clip_grad_norm",
      [](const Arrays& gradients, double max_norm) {
        ClippedArrays clipped = clip_grad_norm(gradients, max_norm);
        return std::tuple(std::move(clipped.gradients),
                          std::move(clipped.norm));
      },
      "gradients"_a,
      "max_norm"_a,
      "Returns the clipped gradients and their norm before.");

  m.def(
      "exponential_decay",
      [](const Operand& step, double init, double rate, double steps) {
        return exponential_decay(init, rate, steps)(step.to_array());
      },
      "step"_a,
      "init"_a,
      "decay_rate"_a,
      "decay_steps"_a);
  m.def(
      "step_decay",
      [](const Operand& step, double init, double rate, int64_t size) {
        return step_decay(init, rate, size)(step.to_array());
      },
      "step"_a,
      "init"_a,
      "decay_rate"_a,
      "step_size"_a);
  m.def(
      "cosine_decay",
      [](const Operand& step, double init, int64_t steps, double end) {
        return cosine_decay(init, steps, end)(step.to_array());
      },
      "step"_a,
      "init"_a,
      "decay_steps"_a,
      "end"_a);
  m.def(
      "linear_schedule",
      [](const Operand& step, double init, double end, int64_t steps) {
        return linear_schedule(init, end, steps)(step.to_array());
      },
      "step"_a,
      "init"_a,
      "end"_a,
      "steps"_a);
  m.def(
      "joined",
      [](const array& step,
         const Arrays& values,
         const std::vector<int64_t>& boundaries) {
        return joined(step, values, boundaries);
      },
      "step"_a,
      "values"_a,
      "boundaries"_a,
      "The value of the schedule that holds at a step.");
}

}  // namespace treadle::python
