#include "treadle/graph/array.h"

#include <cstring>
#include <new>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/door.h"
#include "treadle/graph/node.h"
#include "treadle/graph/record.h"

namespace treadle {

Node* Node::create(size_t num_outputs, size_t num_inputs) {
  size_t bytes =
      sizeof(Node) + num_outputs * sizeof(Output) + num_inputs * sizeof(array);
  Node* n = new (::operator new(bytes)) Node();
  n->num_outputs = uint32_t(num_outputs);
  n->num_inputs = uint32_t(num_inputs);
  for (size_t i = 0; i < num_outputs; ++i) {
    Output* o = new (&n->output(i)) Output();
    o->index = uint32_t(i);
    o->node = n;
  }
  for (size_t i = 0; i < num_inputs; ++i) new (&n->inputs()[i]) array();
  return n;
}

namespace {

// Nodes whose last handle is gone. A node's inputs are released by the loop
// that is already running, so a chain of any length needs no stack. The list
// is plain pointers: arrays in statics go after a thread's objects are gone.
thread_local Node* dying = nullptr;
thread_local bool destroying = false;

void destroy(Node* n) {
  n->next_dying = dying;
  dying = n;
  if (destroying) return;
  destroying = true;
  while (dying) {
    Node* d = dying;
    dying = d->next_dying;
    for (array& x : d->inputs()) x.~array();
    for (Output& o : d->outputs()) o.~Output();
    d->~Node();
    ::operator delete(d);
  }
  destroying = false;
}

}  // namespace

void array::release() {
  if (out_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    Node* n = out_->node;
    // A loss that is kept must not keep the weights of the same step. While
    // there is a history, a walk over it may take the output up again.
    if (n->num_outputs > 1 && n->detached.load(std::memory_order_acquire)) {
      out_->buffer = BufferPtr();
      out_->resident_copy.reset();
    }
    if (n->live.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(n);
  }
}

void Node::detach() {
  op.reset();
  depth = 0;
  for (array& x : inputs()) x = array();
  detached.store(true, std::memory_order_release);
}

array::array(Scalar value, Dtype dtype) {
  Node* n = Node::create(1, 0);
  n->scalar = true;
  n->stream = Stream{0, cpu};
  value.write(dtype, n->inline_value);
  Output& o = n->output(0);
  o.spec.dtype = dtype;
  n->status = Status::available;
  array(&o).swap(*this);
}

array array::from_bytes(const void* values,
                        const Shape& shape,
                        Dtype dtype,
                        std::optional<size_t> count) {
  int64_t n = size_of(shape);
  if (count && int64_t(*count) != n) {
    invalid("array",
            fmt::format("{} values for shape {}; expected {}.",
                        *count,
                        to_string(shape),
                        n));
  }
  BufferPtr buffer = door::allocate(size_t(n) * size_of(dtype), cpu);
  if (n) std::memcpy(buffer->data, values, size_t(n) * size_of(dtype));
  return from_buffer(std::move(buffer), shape, dtype);
}

array array::from_buffer(BufferPtr buffer,
                         const Shape& shape,
                         Dtype dtype,
                         int64_t offset) {
  Device device = buffer->device;
  return make_leaf(Spec{shape, dtype},
                   Layout{row_major_strides(shape), offset},
                   std::move(buffer),
                   device);
}

void array::refuse(const char* call) {
  invalid(call,
          "the array is null, as array() makes it: it has no shape, dtype or "
          "value; expected one that was assigned.");
}

int64_t array::shape(int axis) const {
  return shape()[normalize_axis("shape", axis, shape().size())];
}

bool array::is_available() const {
  known("is_available");
  Node* n = node();
  Status s = n->status.load(std::memory_order_acquire);
  if (s == Status::scheduled) return n->event && n->event->done();
  return s == Status::available;
}

const Layout& array::layout() const {
  known("layout");
  return out_->layout;
}

}  // namespace treadle
