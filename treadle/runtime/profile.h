// TREADLE_VERBOSE=time: what each kind of kernel call has cost, printed when
// the process ends.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::runtime {

bool profiling();

// Measures one call of a kernel, from construction to destruction: elapsed
// time, or the thread's own time when there is but one, which other work on the
// machine does not disturb.
class TimedCall {
 public:
  TimedCall(const Kernel& kernel, const Task& task);
  ~TimedCall();
  TimedCall(const TimedCall&) = delete;
  TimedCall& operator=(const TimedCall&) = delete;

 private:
  const Kernel& kernel_;
  const Task& task_;
  double start_;
};

}  // namespace treadle::runtime
