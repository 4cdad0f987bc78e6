// Starting the computation of arrays, and waiting for it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "treadle/graph/array.h"
#include "treadle/graph/node.h"
#include "treadle/plan/plan.h"
#include "treadle/runtime/executor.h"

namespace treadle {

// Waits for all work queued so far.
void synchronize();

namespace runtime {

// Plans, binds and launches what the targets need. Returns when it is queued.
// Awaited: `wait` follows at once.
void start(std::span<const array> targets, Awaited awaited);
// Waits for the targets and throws what their computation threw.
void wait(std::span<const array> targets);

// Plans what the targets need, segment by segment, and runs nothing. Inputs
// that are pending count as if they were row-contiguous.
void for_each_plan(
    std::span<const array> targets,
    const std::function<void(const plan::Plan&, const plan::Program&)>& f);

// Runs collected nodes, segment by segment. The eval mutex is held.
void run_nodes(const std::vector<Node*>& nodes);
// The nodes have buffers: their values are there, or will be with the event.
void mark_evaluated(std::span<Node* const> nodes,
                    const std::shared_ptr<Event>& event);

}  // namespace runtime
}  // namespace treadle
