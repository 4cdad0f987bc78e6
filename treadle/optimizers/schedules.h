// Learning rate schedules: small values that are called with the number of
// steps taken (an integer scalar) and return the rate there, float32. Each is a
// Schedule, so an optimizer takes it as its rate:
//
//   AdamW optimizer(cosine_decay(1e-3, 10'000));
//
// They compare by value and print themselves, as their Python namesakes do:
// std::cout << cosine_decay(0.1, 20). The functions check their arguments and
// throw std::invalid_argument.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "treadle/optimizers/rate.h"
#include "treadle/optimizers/rules.h"

namespace treadle::optimizers {

// init decay_rate^(step / decay_steps)
struct ExponentialDecay {
  double init, decay_rate, decay_steps;
  array operator()(const array& step) const;
  std::string to_string() const;
  bool operator==(const ExponentialDecay&) const = default;
};
ExponentialDecay exponential_decay(double init,
                                   double decay_rate,
                                   double decay_steps = 1);

// init decay_rate^floor(step / step_size)
struct StepDecay {
  double init, decay_rate;
  int64_t step_size;
  array operator()(const array& step) const;
  std::string to_string() const;
  bool operator==(const StepDecay&) const = default;
};
StepDecay step_decay(double init, double decay_rate, int64_t step_size);

// end + (init - end) (1 + cos(pi s / decay_steps)) / 2 for s = min(step,
// decay_steps)
struct CosineDecay {
  double init;
  int64_t decay_steps;
  double end;
  array operator()(const array& step) const;
  std::string to_string() const;
  bool operator==(const CosineDecay&) const = default;
};
CosineDecay cosine_decay(double init, int64_t decay_steps, double end = 0);

// init + (end - init) min(step, steps) / steps
struct LinearSchedule {
  double init, end;
  int64_t steps;
  array operator()(const array& step) const;
  std::string to_string() const;
  bool operator==(const LinearSchedule&) const = default;
};
LinearSchedule linear_schedule(double init, double end, int64_t steps);

// Schedule i + 1 from step boundaries[i] on, where it counts from 0.
struct JoinedSchedules {
  std::vector<Schedule> schedules;
  std::vector<int64_t> boundaries;
  array operator()(const array& step) const;
  std::string to_string() const;
  bool operator==(const JoinedSchedules&) const = default;
};
JoinedSchedules join_schedules(std::vector<Schedule> schedules,
                               std::vector<int64_t> boundaries);

// What JoinedSchedules makes of the schedules' values: values[0] before
// boundaries[0], values[i + 1] from boundaries[i] on.
array joined(const array& step,
             ArraySpan values,
             std::span<const int64_t> boundaries);

}  // namespace treadle::optimizers
