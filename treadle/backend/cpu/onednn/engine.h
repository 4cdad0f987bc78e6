// What every oneDNN kernel shares: the engine, element types, a call without
// allocation, and the cache of primitives. Only this folder includes oneDNN.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <list>
#include <unordered_map>
#include <utility>
#include <vector>

#include "treadle/backend/cpu/onednn/api.h"
#include "treadle/base/dtype.h"
#include "treadle/base/small_vector.h"

namespace treadle::backend::cpu::onednn {

// Throws std::runtime_error naming `what` when a oneDNN call failed.
void check(dnnl_status_t status, const char* what);

dnnl_engine_t engine();

// Native: at full speed, not through a slow generic path.
bool is_native(Dtype dtype);
dnnl_data_type_t type_of(Dtype dtype);

// Owns a oneDNN handle.
template <class T, auto& destroy>
class Handle {
 public:
  Handle() = default;
  explicit Handle(T h) : h_(h) {}
  Handle(Handle&& o) noexcept : h_(std::exchange(o.h_, nullptr)) {}
  Handle& operator=(Handle&& o) noexcept {
    std::swap(h_, o.h_);
    return *this;
  }
  ~Handle() {
    if (h_) destroy(h_);
  }
  T get() const { return h_; }
  T* out() { return &h_; }

 private:
  T h_ = nullptr;
};
using MemoryDesc = Handle<dnnl_memory_desc_t, api::memory_desc_destroy>;
using Attr = Handle<dnnl_primitive_attr_t, api::primitive_attr_destroy>;
using PrimitiveDesc =
    Handle<dnnl_primitive_desc_t, api::primitive_desc_destroy>;

using Memory = Handle<dnnl_memory_t, api::memory_destroy>;

using Dims = SmallVector<int64_t, 12>;

MemoryDesc strided(const Dims& dims, const Dims& strides, Dtype dtype);
// The layout that the primitive likes best.
MemoryDesc any_layout(const Dims& dims, Dtype dtype);
// A copy of the layout of one argument of a primitive.
MemoryDesc layout_of(const PrimitiveDesc& desc, dnnl_query_t what);
// Scratch memory is passed with the call.
Attr user_scratchpad();

// A primitive with its arguments, ready to be called again and again. For one
// thread at a time.
class Call {
 public:
  Call() = default;
  explicit Call(const PrimitiveDesc& desc);
  void add_argument(int name, const MemoryDesc& desc);
  // Adds the scratchpad as the last argument.
  void add_scratchpad(const PrimitiveDesc& desc);
  size_t scratch_bytes() const { return scratch_bytes_; }
  // Addresses in the order in which the arguments were added.
  void run(std::initializer_list<const void*> addresses);

 private:
  Handle<dnnl_primitive_t, api::primitive_destroy> primitive_;
  std::vector<Memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
  size_t scratch_bytes_ = 0;
};

// A copy from one layout to another: addresses are from, to and scratchpad.
Call reorder_call(const MemoryDesc& from, const MemoryDesc& to);

// What a primitive is made for, as a list of numbers.
class Key {
 public:
  void add(int64_t v) { words_.push_back(v); }
  template <class V>
  void add_all(const V& v) {
    add(int64_t(v.size()));
    for (auto e : v) add(int64_t(e));
  }
  friend bool operator==(const Key&, const Key&) = default;
  uint64_t hash() const;

 private:
  SmallVector<int64_t, 32> words_;
};

// The most recently used entries of one thread. Making an entry takes 200 us,
// finding it 0.1 us; oneDNN's own cache, which threads share, makes a repeated
// creation cost 5 us.
template <class Entry, size_t capacity = 512>
class Cache {
 public:
  Entry& get(const Key& key, const std::function<Entry()>& make) {
    if (!order_.empty() && order_.front().first == key) {
      return order_.front().second;
    }
    auto found = map_.find(key.hash());
    if (found != map_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      if (order_.front().first == key) return order_.front().second;
      order_.pop_front();  // another key of the same hash
      map_.erase(found);
    }
    order_.emplace_front(key, make());
    map_[key.hash()] = order_.begin();
    if (order_.size() > capacity) {
      map_.erase(order_.back().first.hash());
      order_.pop_back();
    }
    return order_.front().second;
  }

 private:
  using Order = std::list<std::pair<Key, Entry>>;
  Order order_;
  std::unordered_map<uint64_t, typename Order::iterator> map_;
};

}  // namespace treadle::backend::cpu::onednn
