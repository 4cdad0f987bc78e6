// The caching allocator: freed memory is kept by size class and handed out
// again, so that pages are faulted in once. One per device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "treadle/base/device.h"
#include "treadle/graph/array.h"
#include "treadle/graph/buffer.h"

namespace treadle {

// Bytes in live arrays, their highest sum so far, and bytes kept for reuse; of
// the CPU unless a device is named.
size_t get_active_memory(Device device = cpu);
size_t get_peak_memory(Device device = cpu);
void reset_peak_memory(Device device = cpu);
size_t get_cache_memory(Device device = cpu);
// Gives the kept memory back to the system.
void clear_cache(Device device = cpu);
// Sets the limits in bytes and returns the former ones. Live memory past the
// memory limit is refused with an error; kept memory past the cache limit is
// given back.
size_t get_memory_limit(Device device = cpu);
size_t set_memory_limit(size_t bytes, Device device = cpu);
size_t set_cache_limit(size_t bytes, Device device = cpu);
// Bytes of the blocks in which the arrays lie, each block once; a block may be
// larger than its arrays. Throws std::invalid_argument when one is not
// evaluated.
size_t get_array_buffer_size(std::span<const array> arrays);

namespace runtime {

// At least one byte, 64-byte aligned. Throws std::runtime_error naming the
// largest live arrays when the device or the limit has no more.
BufferPtr allocate(size_t bytes, Device device);

// What a block holds, for errors: the array that was computed into it. Blocks
// of kNamedBytes and more have names, others none.
struct BlockName {
  std::shared_ptr<const std::string> module;  // null outside of all modules
  std::string op;                             // "" for values from outside
  Spec spec;
};
inline constexpr size_t kNamedBytes = size_t(1) << 20;
void name_block(const Buffer& block, BlockName name);

// The same bytes on another device.
BufferPtr copy_to_device(const Buffer& from, Device device);

}  // namespace runtime
}  // namespace treadle
