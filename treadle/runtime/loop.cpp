#include "treadle/runtime/loop.h"

#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "treadle/graph/trace.h"
#include "treadle/ops/scan.h"
#include "treadle/runtime/collect.h"
#include "treadle/runtime/plan_cache.h"
#include "treadle/runtime/run.h"

namespace treadle::runtime {

namespace {

size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

// The body for one choice of wanted outputs.
struct Loop {
  plan::Program program;
  std::vector<array> keep_alive;
  std::vector<int32_t> argument;  // by leaf; -1: a number inside its node
  std::vector<uint32_t> outputs;  // value of each output
  std::shared_ptr<Instance> instance;
};

// What is kept with the graph.
struct Prepared {
  std::mutex mutex;
  std::map<std::vector<bool>, std::shared_ptr<const Loop>> loops;
};

std::vector<bool> wanted_outputs(const Task& task, size_t num_carry) {
  std::vector<bool> wanted;
  for (size_t j = 0; j < task.out.size(); ++j) {
    wanted.push_back(j < num_carry || task.out[j].data != nullptr);
  }
  return wanted;
}

std::shared_ptr<const Loop> make_loop(const Graph& graph,
                                      const std::vector<bool>& wanted,
                                      Device::Type device) {
  auto loop = std::make_shared<Loop>();
  Graph part;
  part.inputs = graph.inputs;
  part.first_seq = graph.first_seq;
  for (size_t j = 0; j < wanted.size(); ++j) {
    if (wanted[j]) part.outputs.push_back(graph.outputs[j]);
  }
  // Operands of a loop lie in row order.
  for (const array& x : part.inputs) {
    x.output()->layout = {row_major_strides(x.shape()), 0};
  }
  ReopenedTrace reopened(part.inputs);
  Segment s = collect_body(part, body_nodes(part), &loop->outputs);
  loop->program = std::move(s.program);
  loop->keep_alive = std::move(s.keep_alive);
  for (Output* o : loop->program.leaves) {
    int32_t at = -1;
    for (size_t i = 0; i < part.inputs.size(); ++i) {
      if (part.inputs[i].output() == o) at = int32_t(i);
    }
    if (at < 0 && !o->node->scalar) {
      throw std::logic_error(
          "scan: the body reads an array that it is not "
          "given");
    }
    loop->argument.push_back(at);
  }
  loop->instance = instance_for(loop->program, device);
  return loop;
}

Prepared& prepared_of(const Graph& graph) {
  static std::mutex making;
  std::lock_guard lock(making);
  if (!graph.prepared) graph.prepared = std::make_shared<Prepared>();
  return *static_cast<Prepared*>(graph.prepared.get());
}

// The memory of a call beyond its operands.
struct Scratch {
  size_t arena = 0;
  std::vector<size_t> owned;   // by owned value of the instance: two buffers
  std::vector<size_t> staged;  // by carry: two buffers
  size_t bytes = 0;
};

Scratch scratch_of(const Loop& loop, const Scan& op) {
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
  return s;
}

size_t bytes_of(const Operand& o) {
  return size_t(size_of(o.shape)) * size_of(o.dtype);
}

}  // namespace

size_t loop_workspace(const Task& task, Device::Type device) {
  const Scan& op = static_cast<const Scan&>(task.op);
  const std::vector<bool> wanted = wanted_outputs(task, op.num_carry);
  Prepared& prepared = prepared_of(*op.body);
  auto loop = make_loop(*op.body, wanted, device);
  std::lock_guard lock(prepared.mutex);
  prepared.loops[wanted] = loop;
  return scratch_of(*loop, op).bytes;
}

void run_loop(const Task& task, Device device) {
  const Scan& op = static_cast<const Scan&>(task.op);
  const std::vector<bool> wanted = wanted_outputs(task, op.num_carry);
  std::shared_ptr<const Loop> loop;
  {
    Prepared& prepared = prepared_of(*op.body);
    std::lock_guard lock(prepared.mutex);
    loop = prepared.loops.at(wanted);
  }
  const Instance& in = *loop->instance;
  const Scratch scratch = scratch_of(*loop, op);
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
  // Outputs that are computed: their place in the list of all.
  std::vector<size_t> output;
  for (size_t j = 0; j < wanted.size(); ++j) {
    if (wanted[j]) output.push_back(j);
  }
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

  for (size_t i = 0; i < steps; ++i) {
    const size_t t = op.reverse ? steps - 1 - i : i;
    for (size_t k = 0; k < loop->argument.size(); ++k) {
      const int32_t a = loop->argument[k];
      if (a < 0) continue;
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
    std::vector<const char*> next(op.num_carry);
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
