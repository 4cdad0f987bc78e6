#include "treadle/graph/record.h"

#include <algorithm>

#include "treadle/base/error.h"
#include "treadle/graph/door.h"
#include "treadle/graph/module_name.h"
#include "treadle/graph/trace.h"

namespace treadle {

namespace {

// A chain longer than this is evaluated while it is built, so that a loop
// without eval neither fills memory nor builds an endless plan.
constexpr uint32_t kMaxDepth = 50'000;

std::atomic<uint64_t> seq_counter{1};
std::atomic<uint32_t> region_counter{1};
std::atomic<ModuleNamer> module_namer{nullptr};
thread_local uint32_t region_now = 0;
thread_local std::optional<Stream> scoped_stream;

void check_inputs(const Op& op, std::span<const array> inputs) {
  for (const array& x : inputs) {
    if (x.null()) {
      throw std::invalid_argument("[" + std::string(op.name()) +
                                  "] an input is the null array.");
    }
    Node* n = x.node();
    if (n->placeholder && !n->trace->open) placeholder_error(op.name(), *n);
  }
}

Node* make_node(OpPtr op,
                std::span<const array> inputs,
                size_t num_outputs,
                Stream stream) {
  Node* n = Node::create(num_outputs, inputs.size());
  n->op = std::move(op);
  n->stream = stream;
  n->in_trace = Trace::any_open();
  n->region = region_now;
  n->module_path = current_module_name();
  uint32_t depth = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    n->inputs()[i] = inputs[i];
    Node* in = inputs[i].node();
    if (in->op && !in->evaluated()) depth = std::max(depth, in->depth + 1);
  }
  n->depth = depth;
  n->seq = take_seq();
  return n;
}

// Views keep the name of what they look at.
void name_if_large(Node* n) {
  const ModuleNamer namer = module_namer.load(std::memory_order_relaxed);
  if (!namer || n->module_path || n->op->kind() == OpKind::view) return;
  for (const Output& o : n->outputs()) {
    const size_t bytes = size_t(size_of(o.spec.shape)) * size_of(o.spec.dtype);
    if (bytes < kNamedResultBytes) continue;
    n->module_path = namer();
    return;
  }
}

}  // namespace

void set_module_namer(ModuleNamer namer) { module_namer = namer; }

uint64_t next_seq() { return seq_counter.load(std::memory_order_relaxed); }
uint64_t take_seq() {
  return seq_counter.fetch_add(1, std::memory_order_relaxed);
}

Arrays record_all(OpPtr op, Arrays inputs, Stream stream) {
  check_inputs(*op, inputs);
  Specs in;
  in.reserve(inputs.size());
  for (const array& x : inputs) in.push_back(x.spec());
  Specs out = op->infer(in);
  door::check_kernel(*op, in, out, stream);
  Node* n = make_node(std::move(op), inputs, out.size(), stream);
  for (size_t i = 0; i < out.size(); ++i) n->output(i).spec = std::move(out[i]);
  name_if_large(n);
  return n->output_arrays();
}

array record(OpPtr op, std::span<const array> inputs, Stream stream) {
  return record_all(
      std::move(op), Arrays(inputs.begin(), inputs.end()), stream)[0];
}

array record_checked(OpPtr op,
                     Spec out,
                     std::span<const array> inputs,
                     Stream stream) {
  check_inputs(*op, inputs);
  Node* n = make_node(std::move(op), inputs, 1, stream);
  n->output(0).spec = std::move(out);
  name_if_large(n);
  array result(&n->output(0));
  if (n->depth > kMaxDepth && !n->in_trace) door::flush(result);
  return result;
}

array make_leaf(const Spec& spec,
                Layout layout,
                BufferPtr buffer,
                Device device) {
  Node* n = Node::create(1, 0);
  n->stream = Stream{0, device};
  n->seq = take_seq();
  Output& o = n->output(0);
  o.spec = spec;
  o.layout = std::move(layout);
  o.buffer = std::move(buffer);
  n->status = Status::available;
  return array(&o);
}

namespace {

// One default stream per device, packed so that reading it takes no lock:
// slot 0 is the CPU, slot 1 + i is GPU i. -1: not made yet.
constexpr int kMaxDevices = 17;

struct Streams {
  std::atomic<Device> device{cpu};
  std::atomic<int> defaults[kMaxDevices];
  std::atomic<int> count{0};
  Streams() {
    for (auto& d : defaults) d = -1;
  }
};

Streams& streams() {
  static Streams* s = new Streams;  // outlives every static that records
  return *s;
}

std::atomic<int>& slot_of(Device device) {
  int i = device.type == Device::Type::cpu ? 0 : 1 + device.index;
  if (device.index < 0 || i >= kMaxDevices) {
    unsupported("stream", "there is no " + to_string(device) + ".");
  }
  return streams().defaults[i];
}

}  // namespace

Device default_device() {
  return streams().device.load(std::memory_order_relaxed);
}
void set_default_device(Device device) { streams().device = device; }

Stream default_stream(Device device) {
  std::atomic<int>& slot = slot_of(device);
  int index = slot.load(std::memory_order_acquire);
  if (index < 0) {
    int fresh = streams().count.fetch_add(1);
    if (slot.compare_exchange_strong(index, fresh)) index = fresh;
  }
  return Stream{index, device};
}

void set_default_stream(Stream stream) {
  slot_of(stream.device) = stream.index;
}

Stream new_stream(Device device) {
  slot_of(device);
  return Stream{streams().count.fetch_add(1), device};
}

Stream resolve(const StreamOrDevice& s) {
  if (const Stream* stream = s.stream()) return *stream;
  if (const Device* device = s.device()) return default_stream(*device);
  if (scoped_stream) return *scoped_stream;
  return default_stream(default_device());
}

StreamScope::StreamScope(Stream stream)
    : outer_(std::exchange(scoped_stream, stream)) {}
StreamScope::~StreamScope() { scoped_stream = outer_; }

RegionScope::RegionScope(uint32_t region) : outer_(region_now) {
  region_now = region;
}
RegionScope::~RegionScope() { region_now = outer_; }

uint32_t current_region() { return region_now; }
uint32_t new_region() { return region_counter.fetch_add(1); }

}  // namespace treadle
