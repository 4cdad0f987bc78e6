// What a kind of device supplies, and the list of those this build has.
#pragma once

#include <cstddef>

#include "treadle/base/device.h"
#include "treadle/runtime/kernel.h"

namespace treadle::runtime {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual int device_count() const = 0;
  // Fresh memory, 64-byte aligned; null when there is none. The allocator
  // caches above this, so it is called rarely.
  virtual void* allocate(size_t bytes, int device) = 0;
  virtual void free(void* memory, size_t bytes, int device) = 0;
  // Moves bytes between this device and the host.
  virtual void copy_in(void* to,
                       const void* host,
                       size_t bytes,
                       int device) = 0;
  virtual void copy_out(void* host,
                        const void* from,
                        size_t bytes,
                        int device) = 0;
  virtual KernelTable& kernels() = 0;
  // Threads (or their like) a kernel may use when nothing else runs.
  virtual int threads() const = 0;
  // The calling thread will run no kernels for a while: ends the workers that
  // were kept for it.
  virtual void dissolve_team() {}
};

// Throws std::runtime_error when the build or the machine has no such device.
Backend& backend(Device::Type type);
bool has_backend(Device::Type type);
// Adds or replaces the backend of a type; tests add a second device this way.
void set_backend(Device::Type type, Backend* backend);

}  // namespace treadle::runtime
