// The one file that names backends.
#include <array>
#include <atomic>

#include "treadle/backend/cpu/backend.h"
#include "treadle/base/error.h"
#include "treadle/runtime/backend.h"

namespace treadle::runtime {

namespace {

std::atomic<Backend*>& slot(Device::Type type) {
  static std::array<std::atomic<Backend*>, 2> backends{
      &treadle::backend::cpu::backend(), nullptr};
  return backends[static_cast<size_t>(type)];
}

}  // namespace

Backend& backend(Device::Type type) {
  Backend* b = slot(type).load(std::memory_order_acquire);
  if (!b) {
    unsupported(
        "device",
        "this build or machine has no GPU backend; use the cpu device.");
  }
  return *b;
}

bool has_backend(Device::Type type) { return slot(type).load() != nullptr; }

void set_backend(Device::Type type, Backend* b) { slot(type) = b; }

KernelTable& kernel_table(Device::Type device) {
  return backend(device).kernels();
}

}  // namespace treadle::runtime
