// The node behind an array: an op, its inputs, and its outputs, in one block of
// memory. Nodes are numbered as they are recorded; that order is program order
// and topological.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>

#include "treadle/base/shape.h"
#include "treadle/graph/array.h"
#include "treadle/graph/buffer.h"
#include "treadle/graph/op.h"

namespace treadle {

struct TraceInfo;

// What a stream's later work waits for. Signalled once.
class Event {
 public:
  virtual ~Event() = default;
  virtual void wait() = 0;  // passive; rethrows nothing
  virtual bool done() const = 0;
  // The error of the work, once done; null when it went well.
  virtual std::exception_ptr error() const = 0;
};

struct Output {
  std::atomic<uint32_t> refs{0};
  uint32_t index = 0;
  Node* node = nullptr;
  Spec spec;
  // Set when the node is evaluated (bound, even if the kernels still run).
  Layout layout;
  BufferPtr buffer;
  // Scratch of the eval that collects this, guarded by its mutex.
  uint64_t mark = 0;
  int32_t step = 0;
  uint32_t slot = 0;
  uint32_t edges = 0;
  // A second copy on another device, kept until the array is dropped.
  std::unique_ptr<array> resident_copy;

  bool contiguous() const {
    return is_row_contiguous(spec.shape, layout.strides);
  }
  // First element's address; only when evaluated.
  void* address() const;
};

enum class Status : uint8_t {
  recorded,   // has op and inputs, no value
  scheduled,  // has buffers; `event` says when the values are there
  available,  // has values
};

struct Node {
  std::atomic<uint32_t> live{0};  // outputs with a count
  std::atomic<Status> status{Status::recorded};
  std::atomic<bool> detached{false};  // values or none, but no history
  bool in_trace = false;              // recorded while a trace was open
  bool placeholder = false;  // stands for an argument of vmap, compile, scan
  bool scalar = false;       // a number: its value is inline_value
  uint32_t depth = 0;        // longest chain of unevaluated nodes below
  uint32_t num_outputs = 0;
  uint32_t num_inputs = 0;
  uint64_t seq = 0;
  alignas(8) unsigned char inline_value[8] = {};
  OpPtr op;  // null for a leaf
  Stream stream;
  uint32_t region = 0;           // checkpoint region, 0 for none
  Node* next_dying = nullptr;    // in the list of nodes being destroyed
  uint64_t plan_mark = 0;        // the walk that last met this node
  std::shared_ptr<Event> event;  // while scheduled
  std::shared_ptr<const TraceInfo> trace;  // of a placeholder
  std::shared_ptr<const std::string> module_path;

  std::span<Output> outputs() {
    return {reinterpret_cast<Output*>(this + 1), num_outputs};
  }
  Output& output(size_t i) { return outputs()[i]; }
  std::span<array> inputs() {
    return {reinterpret_cast<array*>(reinterpret_cast<Output*>(this + 1) +
                                     num_outputs),
            num_inputs};
  }
  Arrays input_arrays() { return Arrays(inputs().begin(), inputs().end()); }
  Arrays output_arrays() {
    Arrays v;
    for (Output& o : outputs()) v.emplace_back(&o);
    return v;
  }
  bool evaluated() const {
    return status.load(std::memory_order_acquire) != Status::recorded;
  }
  // Drops op and inputs; the chain behind them is freed without recursion. From
  // then on an output's memory goes with its last handle, whoever holds others.
  void detach();

  // A block with the counts set; inputs are null and specs empty.
  static Node* create(size_t num_outputs, size_t num_inputs);
};

inline void* Output::address() const {
  if (!buffer) return node->inline_value;  // a scalar never turned into memory
  return static_cast<char*>(buffer->data) +
         layout.offset * int64_t(size_of(spec.dtype));
}
inline const Spec& array::known(const char* call) const {
  if (!out_) [[unlikely]]
    refuse(call);
  return out_->spec;
}
inline Node* array::node() const { return out_->node; }
inline array::array(Output* out) : out_(out) {
  if (out_ && out_->refs.fetch_add(1, std::memory_order_relaxed) == 0) {
    out_->node->live.fetch_add(1, std::memory_order_relaxed);
  }
}
inline array::array(const array& o) : out_(o.out_) {
  if (out_) out_->refs.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace treadle
