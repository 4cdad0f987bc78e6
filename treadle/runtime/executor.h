// The executor: runs plans one at a time, in the order in which they were
// queued, on a thread of its own, or on one that waits for them: to wake
// another costs more than many a plan. Streams of the CPU are queues on it, so
// an order of queueing that respects dependencies is all that correctness
// needs.
#pragma once

#include <functional>
#include <memory>

#include "treadle/graph/node.h"

namespace treadle::runtime {

// Whether the caller is about to wait for a job. Then the executor is not woken
// for it.
enum class Awaited : bool { no, yes };

// Queues a job; the event is signalled when it has run, with what it threw.
std::shared_ptr<Event> enqueue(std::function<void()> job, Awaited awaited);

// For a caller that will not wait after all.
void wake_executor();

// True when nothing is queued or running, so that small work may run at once on
// the calling thread. Always true in a forked child, which has no executor.
bool executor_idle();

// False in a forked child: everything runs on the calling thread, serially.
bool executor_available();

// Waits until all that was queued so far has run.
void drain();

}  // namespace treadle::runtime
