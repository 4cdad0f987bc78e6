// Recording: how an op applied to arrays becomes a node.
#pragma once

#include <optional>
#include <span>

#include "treadle/graph/array.h"
#include "treadle/graph/node.h"
#include "treadle/graph/op.h"

namespace treadle {

// Infers the outputs (throws on bad input), finds that a kernel exists, and
// adds the node. Returns all outputs.
Arrays record_all(OpPtr op, Arrays inputs, Stream stream);

// The same for an op with one output.
array record(OpPtr op, std::span<const array> inputs, Stream stream);
template <class T>
requires std::is_base_of_v<Op, T> array
record(T op, std::initializer_list<array> inputs, Stream stream) {
  return record(
      make_op(std::move(op)), {inputs.begin(), inputs.size()}, stream);
}

// The hot path of elementwise rows: the caller has checked and inferred.
array record_checked(OpPtr op,
                     Spec out,
                     std::span<const array> inputs,
                     Stream stream);

// A leaf that already has its memory.
array make_leaf(const Spec& spec,
                Layout layout,
                BufferPtr buffer,
                Device device);

// The number that the next node will get, without and with taking it.
uint64_t next_seq();
uint64_t take_seq();

// Default device and streams. The default device is one setting for the
// process; a thread may override its stream for a scope.
Device default_device();
void set_default_device(Device device);
Stream default_stream(Device device);
void set_default_stream(Stream stream);
Stream new_stream(Device device);
Stream resolve(const StreamOrDevice& s);

// In this scope, on this thread, operations without a stream use this one.
class StreamScope {
 public:
  explicit StreamScope(Stream stream);
  ~StreamScope();
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  std::optional<Stream> outer_;
};

// Nodes recorded in this scope belong to checkpoint region `region`.
class RegionScope {
 public:
  explicit RegionScope(uint32_t region);
  ~RegionScope();

 private:
  uint32_t outer_;
};
uint32_t new_region();
uint32_t current_region();

}  // namespace treadle
