// A second device for tests: the CPU's kernels over memory that is marked as
// another device's, with as many threads as the test wants.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "treadle/runtime/backend.h"
#include "treadle/runtime/memory.h"

namespace treadle::testing {

class FakeDevice : public runtime::Backend {
 public:
  int device_count() const override { return 1; }
  void* allocate(size_t bytes, int) override {
    return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  }
  void free(void* p, size_t, int) override { std::free(p); }
  void copy_in(void* to, const void* host, size_t bytes, int) override {
    ++copies_in;
    std::memcpy(to, host, bytes);
  }
  void copy_out(void* host, const void* from, size_t bytes, int) override {
    ++copies_out;
    std::memcpy(host, from, bytes);
  }
  runtime::KernelTable& kernels() override {
    return runtime::kernel_table(Device::Type::cpu);
  }
  int threads() const override { return thread_count; }

  int thread_count = 1;
  int copies_in = 0, copies_out = 0;
};

// The fake device as the GPU, while this lives. Nothing planned for another
// number of threads is used again: instances are made for one.
class FakeDeviceScope {
 public:
  explicit FakeDeviceScope(int threads = 1) {
    device->thread_count = threads;
    runtime::set_backend(Device::Type::gpu, device);
  }
  ~FakeDeviceScope() {
    clear_cache(gpu);
    runtime::set_backend(Device::Type::gpu, nullptr);
  }
  // Arrays may outlive the scope, and their memory goes back to the device.
  FakeDevice* device = kept();

 private:
  static FakeDevice* kept() {
    static auto* devices = new std::vector<std::unique_ptr<FakeDevice>>;
    return devices->emplace_back(std::make_unique<FakeDevice>()).get();
  }
};

}  // namespace treadle::testing
