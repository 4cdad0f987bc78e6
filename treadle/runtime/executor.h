// The executor: one thread that runs plans in the order in which they were
// queued. Streams of the CPU are queues on it, so an order of queueing that
// respects dependencies is all that correctness needs.
#pragma once

#include <functional>
#include <memory>

#include "treadle/graph/node.h"

namespace treadle::runtime {

// Queues a job; the event is signalled when it has run, with what it threw.
std::shared_ptr<Event> enqueue(std::function<void()> job);

// True when nothing is queued or running, so that small work may run at once on
// the calling thread. Always true in a forked child, which has no executor.
bool executor_idle();

// False in a forked child: everything runs on the calling thread, serially.
bool executor_available();

// Waits until all that was queued so far has run.
void drain();

}  // namespace treadle::runtime
