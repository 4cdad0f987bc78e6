#include "treadle/runtime/interpreter.h"

#include <atomic>
#include <cstring>

#include "treadle/base/environment.h"
#include "treadle/base/error.h"
#include "treadle/ops/views.h"
#include "treadle/runtime/kernel.h"
#include "treadle/runtime/memory.h"

namespace treadle::runtime {

namespace {

std::atomic<bool>& planning() {
  static std::atomic<bool> on = environment("TREADLE_PLAN") != "off";
  return on;
}

}  // namespace

bool planning_enabled() { return planning(); }

PlanningScope::PlanningScope(bool on) : outer_(planning().exchange(on)) {}
PlanningScope::~PlanningScope() { planning() = outer_; }

namespace {

struct Value {
  BufferPtr buffer;
  void* data;  // of the buffer, or an inline number
  Layout layout;
};

Operand operand(const Spec& spec, const Value& v) {
  Operand o;
  o.dtype = spec.dtype;
  o.shape = spec.shape;
  o.strides = v.layout.strides;
  o.contiguous = is_row_contiguous(o.shape, o.strides);
  o.data = static_cast<char*>(v.data) +
           v.layout.offset * int64_t(size_of(spec.dtype));
  return o;
}

Value fresh(const Spec& spec, Device device) {
  Value v;
  v.buffer =
      allocate(size_t(size_of(spec.shape)) * size_of(spec.dtype), device);
  v.data = v.buffer->data;
  v.layout = Layout{row_major_strides(spec.shape), 0};
  return v;
}

void run_reference(const KernelTable& table,
                   const Op& op,
                   std::span<const Operand> in,
                   std::span<const Operand> out) {
  const Kernel* kernel = table.reference(op);
  if (!kernel) unsupported(op.name(), "no kernel.");
  Task task{op, in, out, {}, nullptr, 1};
  std::vector<char> scratch(kernel->workspace ? kernel->workspace(task) + 64
                                              : 0);
  if (!scratch.empty()) {
    auto at = (reinterpret_cast<uintptr_t>(scratch.data()) + 63) / 64 * 64;
    task.workspace = reinterpret_cast<void*>(at);
  }
  kernel->run(task);
}

}  // namespace

void interpret(Segment& segment) {
  const plan::Program& p = segment.program;
  const KernelTable& table = kernel_table(segment.stream.device.type);
  std::vector<Value> values(p.values.size());
  for (uint32_t i = 0; i < p.leaves.size(); ++i) {
    Output* o = p.leaves[i];
    values[i] = {o->buffer,
                 o->buffer ? o->buffer->data : o->node->inline_value,
                 o->layout};
  }
  auto contiguous_copy = [&](const Spec& spec, const Value& v) {
    Value copy = fresh(spec, segment.stream.device);
    Operand from = operand(spec, v), to = operand(spec, copy);
    run_reference(table, Contiguous{}, {&from, 1}, {&to, 1});
    return copy;
  };
  for (uint32_t n = 0; n < p.nodes.size(); ++n) {
    const Node& node = *p.nodes[n].node;
    auto inputs = p.inputs_of(n);
    uint32_t out = p.nodes[n].first_out;
    if (node.op->kind() == OpKind::view) {
      const Spec& spec = p.spec(inputs[0]);
      Value v = values[inputs[0]];
      Layout layout;
      if (!node.op->view(spec, v.layout, p.spec(out), &layout)) {
        v = contiguous_copy(spec, v);
        node.op->view(spec, v.layout, p.spec(out), &layout);
      }
      v.layout = layout;
      values[out] = v;
      continue;
    }
    const Kernel* kernel = table.reference(*node.op);
    std::vector<Operand> in, outs;
    std::vector<Value> copies;
    for (uint32_t v : inputs) {
      in.push_back(operand(p.spec(v), values[v]));
      if (kernel && !kernel->strided && !in.back().contiguous) {
        copies.push_back(contiguous_copy(p.spec(v), values[v]));
        in.back() = operand(p.spec(v), copies.back());
      }
    }
    for (uint32_t j = 0; j < node.num_outputs; ++j) {
      values[out + j] = fresh(p.spec(out + j), segment.stream.device);
      outs.push_back(operand(p.spec(out + j), values[out + j]));
    }
    run_reference(table, *node.op, in, outs);
  }
  for (auto [output, v] : segment.results) {
    if (!values[v].buffer) {
      values[v].buffer = allocate(8, cpu);
      std::memcpy(values[v].buffer->data, values[v].data, 8);
    }
    output->buffer = values[v].buffer;
    output->layout = values[v].layout;
  }
}

}  // namespace treadle::runtime
