#include "treadle/runtime/memory.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/trace.h"
#include "treadle/runtime/backend.h"

namespace treadle {
namespace runtime {
namespace {

// Four classes to each doubling: at most a quarter of a block is unused.
size_t size_class(size_t bytes) {
  if (bytes <= 64) return 64;
  size_t top = std::bit_floor(bytes - 1);
  size_t step = std::max<size_t>(top / 4, 64);
  return (bytes + step - 1) / step * step;
}

// "400.0 MB float32 (100, 1000000) of matmul in layers.1.q_proj".
std::string describe(size_t bytes, const BlockName& name) {
  std::string s = fmt::format("{:.1f} MB", double(bytes) / 1e6);
  if (!name.op.empty() || !name.spec.shape.empty()) {
    s += " " + to_string(name.spec);
  }
  if (!name.op.empty()) s += " of " + name.op;
  if (name.module) s += " in " + *name.module;
  return s;
}

class Allocator {
 public:
  explicit Allocator(Device device) : device_(device) {}

  BufferPtr allocate(size_t bytes) {
    size_t size = size_class(std::max<size_t>(bytes, 1));
    std::lock_guard lock(mutex_);
    if (active_ + size > limit_) refuse(bytes, "the memory limit is reached");
    Buffer* b = take_cached(size);
    if (!b) {
      b = fresh(size);
      if (!b) {
        drop_cache(0);
        b = fresh(size);
      }
      if (!b) refuse(bytes, "the system has no more");
    }
    active_ += b->bytes;  // a kept block may be larger than asked
    peak_ = std::max(peak_, active_);
    if (b->bytes >= kNamedBytes) large_[b] = {};
    b->refs.store(1, std::memory_order_relaxed);
    b->writable = true;
    return BufferPtr(b);
  }

  void release(Buffer* b) {
    std::lock_guard lock(mutex_);
    active_ -= b->bytes;
    if (b->bytes >= kNamedBytes) large_.erase(b);
    ++b->generation;
#ifndef NDEBUG
    if (device_ == cpu)
      std::memset(b->data, 0xff, b->bytes);  // NaN in every float
#endif
    cached_ += b->bytes;
    cache_[b->bytes].push_back(b);
    if (cached_ > cache_limit_) drop_cache(cache_limit_);
  }

  void name(const Buffer* b, BlockName name) {
    std::lock_guard lock(mutex_);
    auto it = large_.find(b);
    if (it != large_.end()) it->second = std::move(name);
  }

  size_t active() { return locked(active_); }
  size_t peak() { return locked(peak_); }
  size_t cached() { return locked(cached_); }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    peak_ = active_;
  }
  void clear() {
    std::lock_guard lock(mutex_);
    drop_cache(0);
  }
  size_t limit() { return locked(limit_); }
  size_t set_limit(size_t bytes) {
    std::lock_guard lock(mutex_);
    return std::exchange(limit_, bytes);
  }
  size_t set_cache_limit(size_t bytes) {
    std::lock_guard lock(mutex_);
    size_t old = std::exchange(cache_limit_, bytes);
    if (cached_ > bytes) drop_cache(bytes);
    return old;
  }

 private:
  size_t locked(const size_t& v) {
    std::lock_guard lock(mutex_);
    return v;
  }

  Buffer* take_cached(size_t size) {
    auto it = cache_.lower_bound(size);
    // A larger block serves when it wastes little; large blocks are worth more.
    size_t most = size + (size >= kNamedBytes ? size / 8 : size / 4);
    while (it != cache_.end() && it->first <= most) {
      if (!it->second.empty()) {
        Buffer* b = it->second.back();
        it->second.pop_back();
        cached_ -= b->bytes;
        return b;
      }
      it = cache_.erase(it);
    }
    return nullptr;
  }

  Buffer* fresh(size_t size) {
    void* memory = backend(device_.type).allocate(size, device_.index);
    if (!memory) return nullptr;
    Buffer* b = new Buffer;
    b->device = device_;
    b->data = memory;
    b->bytes = size;
    b->owner = this;
    b->release = [](Buffer* dead) {
      static_cast<Allocator*>(dead->owner)->release(dead);
    };
    return b;
  }

  // Largest first, until at most `keep` bytes are kept.
  void drop_cache(size_t keep) {
    while (cached_ > keep && !cache_.empty()) {
      auto last = std::prev(cache_.end());
      if (last->second.empty()) {
        cache_.erase(last);
        continue;
      }
      Buffer* b = last->second.back();
      last->second.pop_back();
      cached_ -= b->bytes;
      backend(device_.type).free(b->data, b->bytes, device_.index);
      delete b;
    }
  }

  [[noreturn]] void refuse(size_t bytes, std::string_view why) {
    std::vector<std::pair<size_t, const BlockName*>> blocks;
    for (const auto& [b, name] : large_) blocks.emplace_back(b->bytes, &name);
    std::sort(blocks.begin(), blocks.end(), [](const auto& a, const auto& b) {
      return a.first > b.first;
    });
    std::string list;
    for (size_t i = 0; i < std::min<size_t>(blocks.size(), 8); ++i) {
      list += (i ? "; " : "") + describe(blocks[i].first, *blocks[i].second);
    }
    unsupported(
        "memory",
        fmt::format("cannot allocate {:.1f} MB on {}: {}. Live: {:.1f} MB in "
                    "all; the largest arrays: {}.",
                    double(bytes) / 1e6,
                    to_string(device_),
                    why,
                    double(active_) / 1e6,
                    list.empty() ? "none" : list));
  }

  Device device_;
  std::mutex mutex_;
  std::map<size_t, std::vector<Buffer*>> cache_;
  std::unordered_map<const Buffer*, BlockName> large_;
  size_t active_ = 0, peak_ = 0, cached_ = 0;
  size_t limit_ = std::numeric_limits<size_t>::max();
  size_t cache_limit_ = std::numeric_limits<size_t>::max();
};

Allocator& allocator(Device device) {
  static std::mutex mutex;
  static auto* all =
      new std::map<std::pair<int, int>, std::unique_ptr<Allocator>>;
  static Allocator* first_cpu = new Allocator(cpu);
  if (device == cpu) return *first_cpu;
  std::lock_guard lock(mutex);
  auto& slot = (*all)[{int(device.type), device.index}];
  if (!slot) slot = std::make_unique<Allocator>(device);
  return *slot;
}

}  // namespace

BufferPtr allocate(size_t bytes, Device device) {
  return allocator(device).allocate(bytes);
}

void name_block(const Buffer& block, BlockName name) {
  allocator(block.device).name(&block, std::move(name));
}

BufferPtr copy_to_device(const Buffer& from, Device device) {
  BufferPtr to = allocate(from.bytes, device);
  if (from.device.type == Device::Type::cpu) {
    backend(device.type).copy_in(to->data, from.data, from.bytes, device.index);
  } else {
    if (device.type == Device::Type::cpu) {
      backend(from.device.type)
          .copy_out(to->data, from.data, from.bytes, from.device.index);
    } else {
      BufferPtr host = copy_to_device(from, cpu);
      return copy_to_device(*host.get(), device);
    }
  }
  return to;
}

}  // namespace runtime

size_t get_active_memory(Device d) { return runtime::allocator(d).active(); }
size_t get_peak_memory(Device d) { return runtime::allocator(d).peak(); }
void reset_peak_memory(Device d) { runtime::allocator(d).reset_peak(); }
size_t get_cache_memory(Device d) { return runtime::allocator(d).cached(); }
void clear_cache(Device d) { runtime::allocator(d).clear(); }
size_t get_memory_limit(Device d) { return runtime::allocator(d).limit(); }
size_t set_memory_limit(size_t bytes, Device d) {
  return runtime::allocator(d).set_limit(bytes);
}
size_t set_cache_limit(size_t bytes, Device d) {
  return runtime::allocator(d).set_cache_limit(bytes);
}

size_t get_array_buffer_size(std::span<const array> arrays) {
  std::unordered_set<const Buffer*> seen;
  size_t bytes = 0;
  auto count = [&](const BufferPtr& b) {
    if (b && seen.insert(b.get()).second) bytes += b->bytes;
  };
  for (const array& a : arrays) {
    const Node& n = *a.node();
    if (n.op && !n.evaluated()) {
      invalid("get_array_buffer_size",
              "an array is not evaluated; evaluate it before.");
    }
    if (n.placeholder) placeholder_error("get_array_buffer_size", n);
    count(a.output()->buffer);
    if (a.output()->resident_copy) {
      count(a.output()->resident_copy->output()->buffer);
    }
  }
  return bytes;
}

}  // namespace treadle
