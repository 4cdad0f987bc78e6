// TREADLE_VERBOSE=time: what each kind of kernel call has cost, printed when
// the process ends.
#pragma once

#include <chrono>

#include "treadle/runtime/kernel.h"

namespace treadle::runtime {

bool profiling();

// Measures one call of a kernel, from construction to destruction.
class TimedCall {
 public:
  TimedCall(const Kernel& kernel, const Task& task);
  ~TimedCall();
  TimedCall(const TimedCall&) = delete;
  TimedCall& operator=(const TimedCall&) = delete;

 private:
  const Kernel& kernel_;
  const Task& task_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace treadle::runtime
