// The one door from the graph to what runs it: declared here, defined in
// runtime/. Nothing else in graph/, ops/ or transforms/ may call downward.
#pragma once

#include <cstddef>
#include <span>

#include "treadle/base/device.h"
#include "treadle/graph/array.h"
#include "treadle/graph/op.h"

namespace treadle::door {

// Memory for `bytes` on a device; throws std::runtime_error naming the largest
// live arrays when there is none.
BufferPtr allocate(size_t bytes, Device device);

// Throws when no kernel of the stream's device takes the op on these inputs:
// "[qr] has no CUDA kernel; pass stream=cpu". A composite without a kernel is
// fine: the planner expands it.
void check_kernel(const Op& op,
                  std::span<const Spec> in,
                  std::span<const Spec> out,
                  Stream stream);

// Called by record() when a chain of pending nodes has become long.
void flush(const array& last);

// Waits for a scheduled node and rethrows its error.
void wait(Node& node);

}  // namespace treadle::door
