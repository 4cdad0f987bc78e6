// A block of memory on one device, shared by the arrays and views that lie in
// it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "treadle/base/device.h"

namespace treadle {

// Counted by BufferPtr. A plan that is running, a view, a NumPy or DLPack
// export each hold one count, so "one holder" is the whole question donation
// asks.
struct Buffer {
  std::atomic<uint32_t> refs{1};
  bool writable = true;  // false for mapped files and imported memory
  Device device;
  void* data = nullptr;
  size_t bytes = 0;
  uint64_t generation = 0;             // bumped by each write after the first
  void (*release)(Buffer*) = nullptr;  // frees the memory and the Buffer
  void* owner = nullptr;               // for release: whose memory it is
};

class BufferPtr {
 public:
  BufferPtr() = default;
  // Takes over one count.
  explicit BufferPtr(Buffer* b) : b_(b) {}
  BufferPtr(const BufferPtr& o) : b_(o.b_) {
    if (b_) b_->refs.fetch_add(1, std::memory_order_relaxed);
  }
  BufferPtr(BufferPtr&& o) noexcept : b_(std::exchange(o.b_, nullptr)) {}
  BufferPtr& operator=(BufferPtr o) noexcept {
    std::swap(b_, o.b_);
    return *this;
  }
  ~BufferPtr() {
    if (b_ && b_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      b_->release(b_);
    }
  }
  Buffer* get() const { return b_; }
  Buffer* operator->() const { return b_; }
  explicit operator bool() const { return b_ != nullptr; }
  bool unique() const {
    return b_ && b_->refs.load(std::memory_order_acquire) == 1;
  }

 private:
  Buffer* b_ = nullptr;
};

}  // namespace treadle
