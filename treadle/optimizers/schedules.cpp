#include "treadle/optimizers/schedules.h"

#include <numbers>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"

namespace treadle::optimizers {

namespace {

void check_steps(std::string_view op, std::string_view name, double steps) {
  if (!(steps > 0)) {
    invalid(op, fmt::format("{} is {}; expected more than 0.", name, steps));
  }
}

void check_boundaries(size_t schedules, size_t boundaries) {
  if (schedules != boundaries + 1) {
    invalid("join_schedules",
            fmt::format("got {} schedules and {} boundaries; expected a "
                        "boundary between each two.",
                        schedules,
                        boundaries));
  }
}

// As Python writes a float.
std::string text(double value) {
  std::string s = fmt::format("{}", value);
  return s.find_first_not_of("-0123456789") == std::string::npos ? s + ".0" : s;
}

}  // namespace

ExponentialDecay exponential_decay(double init,
                                   double decay_rate,
                                   double decay_steps) {
  check_steps("exponential_decay", "decay_steps", decay_steps);
  return {init, decay_rate, decay_steps};
}

array ExponentialDecay::operator()(const array& step) const {
  // Dividing by 1 would cost an operation and change no bit.
  return init *
         power(decay_rate, decay_steps == 1 ? step : array(step / decay_steps));
}

std::string ExponentialDecay::to_string() const {
  return fmt::format(
      "exponential_decay(init={}, decay_rate={}, decay_steps={})",
      text(init),
      text(decay_rate),
      text(decay_steps));
}

StepDecay step_decay(double init, double decay_rate, int64_t step_size) {
  check_steps("step_decay", "step_size", double(step_size));
  return {init, decay_rate, step_size};
}

array StepDecay::operator()(const array& step) const {
  return init * power(decay_rate, floor_divide(step, step_size));
}

std::string StepDecay::to_string() const {
  return fmt::format("step_decay(init={}, decay_rate={}, step_size={})",
                     text(init),
                     text(decay_rate),
                     step_size);
}

CosineDecay cosine_decay(double init, int64_t decay_steps, double end) {
  check_steps("cosine_decay", "decay_steps", double(decay_steps));
  return {init, decay_steps, end};
}

array CosineDecay::operator()(const array& step) const {
  array s = minimum(step, decay_steps);
  array share = 0.5 * (1.0 + cos((std::numbers::pi / double(decay_steps)) * s));
  return end + share * (init - end);
}

std::string CosineDecay::to_string() const {
  return fmt::format("cosine_decay(init={}, decay_steps={}, end={})",
                     text(init),
                     decay_steps,
                     text(end));
}

LinearSchedule linear_schedule(double init, double end, int64_t steps) {
  check_steps("linear_schedule", "steps", double(steps));
  return {init, end, steps};
}

array LinearSchedule::operator()(const array& step) const {
  return minimum(step, steps) * ((end - init) / double(steps)) + init;
}

std::string LinearSchedule::to_string() const {
  return fmt::format("linear_schedule(init={}, end={}, steps={})",
                     text(init),
                     text(end),
                     steps);
}

JoinedSchedules join_schedules(std::vector<Schedule> schedules,
                               std::vector<int64_t> boundaries) {
  check_boundaries(schedules.size(), boundaries.size());
  return {std::move(schedules), std::move(boundaries)};
}

array JoinedSchedules::operator()(const array& step) const {
  Arrays values = {schedules[0](step)};
  for (size_t i = 0; i < boundaries.size(); ++i)
    values.push_back(schedules[i + 1](step - boundaries[i]));
  return joined(step, values, boundaries);
}

std::string JoinedSchedules::to_string() const {
  std::vector<std::string> parts;
  for (const Schedule& s : schedules) parts.push_back(s.to_string());
  return fmt::format("join_schedules(schedules=[{}], boundaries=[{}])",
                     fmt::join(parts, ", "),
                     fmt::join(boundaries, ", "));
}

array joined(const array& step,
             ArraySpan values,
             std::span<const int64_t> boundaries) {
  check_boundaries(values.size(), boundaries.size());
  array value = values[0];
  for (size_t i = 0; i < boundaries.size(); ++i)
    value = select(step < boundaries[i], value, values[i + 1]);
  return value;
}

}  // namespace treadle::optimizers
