#include "treadle/runtime/loop.h"

#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "treadle/graph/trace.h"
#include "treadle/ops/scan.h"
#include "treadle/ops/views.h"
#include "treadle/runtime/collect.h"
#include "treadle/runtime/plan_cache.h"
#include "treadle/runtime/region.h"
#include "treadle/runtime/run.h"

namespace treadle::runtime {

namespace {

size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

// The memory of a call beyond its operands.
struct Scratch {
  size_t arena = 0;
  std::vector<size_t> owned;   // by owned value of the instance: two buffers
  std::vector<size_t> staged;  // by carry: two buffers
  std::vector<size_t> kept;    // by call; `none` where nothing is kept
  size_t bytes = 0;
  static constexpr size_t none = ~size_t(0);
};

// The body of one call. Its constants are numbers.
struct Loop : BodyProgram {
  std::shared_ptr<Instance> instance;
  Scratch scratch;
  std::vector<size_t> computed;  // which of all outputs
};

std::vector<bool> wanted_outputs(const Task& task, size_t num_carry) {
  std::vector<bool> wanted;
  for (size_t j = 0; j < task.out.size(); ++j) {
    wanted.push_back(j < num_carry || task.out[j].data != nullptr);
  }
  return wanted;
}

std::shared_ptr<Loop> loop_of(const Graph& part, Device::Type device) {
  auto loop = std::make_shared<Loop>();
  static_cast<BodyProgram&>(*loop) = body_program(part, body_nodes(part));
  for (size_t k = 0; k < loop->argument.size(); ++k) {
    if (loop->argument[k] < 0 && !loop->program.leaves[k]->node->scalar) {
      throw std::logic_error(
          "scan: the body reads an array that it is not given");
    }
  }
  loop->instance = instance_for(loop->program, device);
  return loop;
}

std::shared_ptr<Loop> make_loop(const Graph& graph,
                                const std::vector<bool>& wanted,
                                Device::Type device) {
  Graph part;
  part.inputs = graph.inputs;
  part.first_seq = graph.first_seq;
  // Operands of a loop lie in row order.
  for (const array& x : part.inputs) {
    x.output()->layout = {row_major_strides(x.shape()), 0};
  }
  // Most results lie in row order without being copied into it.
  Arrays ordered;
  for (size_t j = 0; j < wanted.size(); ++j) {
    if (!wanted[j]) continue;
    const array& y = graph.outputs[j];
    const bool copies = y.node()->op && as<Contiguous>(*y.node()->op);
    ordered.push_back(y);
    part.outputs.push_back(copies ? array(y.node()->inputs()[0]) : y);
  }
  auto loop = loop_of(part, device);
  bool all = true;
  for (size_t k = 0; k < ordered.size(); ++k) {
    const Strides& strides = loop->instance->layouts[loop->outputs[k]].strides;
    if (!is_row_contiguous(ordered[k].shape(), strides)) {
      part.outputs[k] = ordered[k];
      all = false;
    }
  }
  return all ? loop : loop_of(part, device);
}

// Which inputs of a call are the same in all steps.
uint32_t constant_inputs(const Loop& loop,
                         const Instance::Call& call,
                         size_t num_varying) {
  uint32_t mask = 0;
  for (size_t i = 0; i < std::min<size_t>(call.in_at.size(), 32); ++i) {
    const uint32_t v = call.in_at[i].value;
    if (v < loop.argument.size() &&
        (loop.argument[v] < 0 || size_t(loop.argument[v]) >= num_varying)) {
      mask |= 1u << i;
    }
  }
  return mask;
}

Task keeping(const Loop& loop,
             const Instance::Call& call,
             const Scan& op,
             int threads) {
  return {.op = *call.op,
          .in = call.in,
          .out = call.out,
          .space = call.space,
          .threads = threads,
          .constant = constant_inputs(loop, call, op.num_carry + op.num_xs)};
}

Scratch scratch_of(const Loop& loop, const Scan& op, int threads) {
  Scratch s;
  s.bytes = rounded(loop.instance->arena_bytes);
  for (auto [v, bytes] : loop.instance->owned) {
    s.owned.push_back(s.bytes);
    s.bytes += 2 * rounded(bytes);
  }
  for (size_t j = 0; j < op.num_carry; ++j) {
    const Spec& spec = op.body->outputs[j].spec();
    s.staged.push_back(s.bytes);
    s.bytes += 2 * rounded(size_t(size_of(spec.shape)) * size_of(spec.dtype));
  }
  for (const Instance::Call& call : loop.instance->calls) {
    size_t bytes = 0;
    if (call.kernel->keeps && !call.following && op.length > 1) {
      bytes = call.kernel->keeps(keeping(loop, call, op, threads));
    }
    s.kept.push_back(bytes > 0 ? s.bytes : Scratch::none);
    s.bytes += rounded(bytes);
  }
  return s;
}

// Lets kernels prepare what is the same in all steps.
void keep_constants(
    const Loop& loop, const Scan& op, int threads, char* memory, Run& run) {
  const Instance& in = *loop.instance;
  run.kept.assign(in.calls.size(), nullptr);
  for (size_t c = 0; c < in.calls.size(); ++c) {
    if (loop.scratch.kept[c] == Scratch::none) continue;
    const Instance::Call& call = in.calls[c];
    const Task plain = keeping(loop, call, op, threads);
    std::vector<Operand> operands = call.in;
    for (size_t i = 0; i < operands.size(); ++i) {
      const Instance::Address at = call.in_at[i];
      operands[i].data =
          plain.constant >> i & 1
              ? static_cast<char*>(run.base[at.value]) + at.offset
              : nullptr;
    }
    run.kept[c] = memory + loop.scratch.kept[c];
    const Task filled{.op = *call.op,
                      .in = operands,
                      .out = call.out,
                      .space = call.space,
                      .threads = threads,
                      .constant = plain.constant,
                      .kept = run.kept[c]};
    call.kernel->keep(filled);
  }
}

size_t bytes_of(const Operand& o) {
  return size_t(size_of(o.shape)) * size_of(o.dtype);
}

}  // namespace

std::shared_ptr<const void> prepare_loop(const Task& task,
                                         Device::Type device) {
  const Scan& op = static_cast<const Scan&>(task.op);
  const std::vector<bool> wanted = wanted_outputs(task, op.num_carry);
  auto loop = make_loop(*op.body, wanted, device);
  for (size_t j = 0; j < wanted.size(); ++j) {
    if (wanted[j]) loop->computed.push_back(j);
  }
  loop->scratch = scratch_of(*loop, op, task.threads);
  return loop;
}

size_t loop_workspace(const Task& task) {
  return static_cast<const Loop*>(task.prepared)->scratch.bytes;
}

void run_loop(const Task& task, Device device) {
  const Scan& op = static_cast<const Scan&>(task.op);
  const Loop* const loop = static_cast<const Loop*>(task.prepared);
  const Instance& in = *loop->instance;
  const Scratch& scratch = loop->scratch;
  char* memory = static_cast<char*>(task.workspace);

  Run run;
  run.instance = loop->instance;
  run.device = device;
  run.arena_base = memory;
  run.base.assign(in.roots.size(), nullptr);
  for (uint32_t v = 0; v < in.arena_at.size(); ++v) {
    if (in.arena_at[v] >= 0) run.base[v] = memory + in.arena_at[v];
  }
  // Where each input is in this step.
  std::vector<const char*> input;
  std::vector<size_t> step_bytes(task.in.size(), 0);
  const size_t num_varying = op.num_carry + op.num_xs;
  const size_t steps = size_t(op.length);
  for (size_t i = 0; i < task.in.size(); ++i) {
    input.push_back(static_cast<const char*>(task.in[i].data));
    if (i >= op.num_carry && i < num_varying && steps > 0) {
      step_bytes[i] = bytes_of(task.in[i]) / steps;
    }
  }
  for (size_t k = 0; k < loop->argument.size(); ++k) {
    if (loop->argument[k] < 0) {
      run.base[k] = loop->program.leaves[k]->node->inline_value;
    }
  }
  const size_t num_leaves = loop->argument.size();
  for (size_t k = 0; k < num_leaves; ++k) {
    const int32_t a = loop->argument[k];
    if (a >= 0 && size_t(a) >= num_varying) {
      run.base[k] = const_cast<char*>(input[size_t(a)]);
    }
  }
  if (steps > 1) keep_constants(*loop, op, task.threads, memory, run);
  const std::vector<size_t>& output = loop->computed;
  auto address = [&](uint32_t v) {
    const Spec& spec = loop->program.spec(in.plan->values[v].spec);
    return static_cast<char*>(run.base[in.roots[v]]) +
           in.layouts[v].offset * int64_t(size_of(spec.dtype));
  };
  std::vector<uint8_t> owned(in.roots.size(), 0);
  for (auto [v, bytes] : in.owned) owned[v] = 1;
  auto slot_of = [&](size_t j, size_t t) {
    const Operand& o = task.out[j];
    return static_cast<char*>(o.data) + bytes_of(o) / steps * t;
  };

  std::vector<const char*> next(op.num_carry);
  for (size_t i = 0; i < steps; ++i) {
    const size_t t = op.reverse ? steps - 1 - i : i;
    for (size_t k = 0; k < loop->argument.size(); ++k) {
      const int32_t a = loop->argument[k];
      if (a < 0 || size_t(a) >= num_varying) continue;
      run.base[k] =
          const_cast<char*>(input[size_t(a)] + step_bytes[size_t(a)] * t);
    }
    for (size_t k = 0; k < in.owned.size(); ++k) {
      auto [v, bytes] = in.owned[k];
      run.base[v] = memory + scratch.owned[k] + i % 2 * rounded(bytes);
    }
    // A result goes straight to its place where it has memory of its own.
    for (size_t k = output.size(); k-- > 0;) {
      const size_t j = output[k];
      const uint32_t root = in.roots[loop->outputs[k]];
      if (j >= op.num_carry && owned[root] &&
          in.layouts[loop->outputs[k]].offset == 0) {
        run.base[root] = slot_of(j, t);
      }
    }
    execute(run, task.threads);
    for (size_t k = 0; k < output.size(); ++k) {
      const size_t j = output[k];
      const uint32_t v = loop->outputs[k];
      const char* from = address(v);
      if (j >= op.num_carry) {
        char* to = slot_of(j, t);
        if (from != to) std::memcpy(to, from, bytes_of(task.out[j]) / steps);
      } else if (owned[in.roots[v]]) {
        next[j] = from;
      } else {
        const size_t bytes = bytes_of(task.out[j]);
        char* to = memory + scratch.staged[j] + i % 2 * rounded(bytes);
        std::memcpy(to, from, bytes);
        next[j] = to;
      }
    }
    for (size_t j = 0; j < op.num_carry; ++j) input[j] = next[j];
  }
  for (size_t j = 0; j < op.num_carry; ++j) {
    if (!task.out[j].data) continue;
    std::memcpy(task.out[j].data, input[j], bytes_of(task.out[j]));
  }
}

}  // namespace treadle::runtime
