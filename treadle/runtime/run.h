// Binding an instance to memory, and running it.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

#include "treadle/graph/node.h"
#include "treadle/runtime/instance.h"

namespace treadle::runtime {

// One run of an instance, with all its memory. Holds every buffer it touches.
struct Run {
  std::shared_ptr<Instance> instance;
  Device device;
  std::vector<void*> base;        // by root value
  std::vector<BufferPtr> buffer;  // by root value, where it has one
  std::shared_ptr<const BufferPtr> arena;
  char* arena_base = nullptr;
  // Numbers held inside nodes, for a queued run: the nodes may be gone by then.
  std::shared_ptr<uint64_t[]> numbers;
  std::vector<std::shared_ptr<Event>> after;  // events of leaves still pending
  std::vector<void*> kept;                    // of a loop, by call: Task::kept

  void clear();
  // The buffer that value v lies in, made from an inline number if need be.
  BufferPtr buffer_of(uint32_t v);
};

// Takes all memory now: throws, with nothing changed, when there is not enough.
// free_leaf[i]: leaf i has no holder but this program, so its buffer may be
// taken over when the buffer has no other either. own_arena: do not share the
// stream's (for a run outside the queue). `run` is filled; one that is used
// again keeps its capacity.
void bind(std::shared_ptr<Instance> instance,
          std::span<Output* const> leaves,
          const std::vector<uint8_t>& free_leaf,
          Stream stream,
          bool own_arena,
          Run& run);

// Runs the kernels with at most `threads` threads. Throws what one throws.
void execute(const Run& run, int threads);

}  // namespace treadle::runtime
