// eval: collect, plan, bind, run.
#include "treadle/runtime/eval.h"

#include <mutex>

#include "treadle/graph/graph.h"
#include "treadle/graph/node.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/runtime/backend.h"
#include "treadle/runtime/collect.h"
#include "treadle/runtime/executor.h"
#include "treadle/runtime/interpreter.h"
#include "treadle/runtime/memory.h"
#include "treadle/runtime/plan_cache.h"
#include "treadle/runtime/region.h"
#include "treadle/runtime/run.h"

namespace treadle::runtime {

namespace {

// Held while nodes are collected, counted and bound, and for the few microseconds
// of plans too small for the executor.
std::mutex& eval_mutex() {
  static auto* m = new std::mutex;
  return *m;
}

thread_local bool evaluating = false;

// A plan that touches fewer bytes runs at once on the calling thread: waking the
// executor and its threads would cost more.
constexpr size_t kInlineBytes = 192 * 1024;

// The event of work that failed on the calling thread.
class Failed : public Event {
 public:
  explicit Failed(std::exception_ptr error) : error_(std::move(error)) {}
  void wait() override {}
  bool done() const override { return true; }
  std::exception_ptr error() const override { return error_; }

 private:
  std::exception_ptr error_;
};

// Errors of pending inputs poison what is computed from them.
void check_inputs(const std::vector<std::shared_ptr<Event>>& after) {
  for (const auto& e : after) {
    e->wait();
    if (auto error = e->error()) std::rethrow_exception(error);
  }
}

// The leaf on the device where it is read: a second copy, kept with the array.
Output* resident(Output* o, Device device) {
  if (!o->buffer || o->buffer->device == device) return o;
  if (o->resident_copy && o->resident_copy->output()->buffer->device == device) {
    return o->resident_copy->output();
  }
  if (o->node->event) o->node->event->wait();
  BufferPtr copy = copy_to_device(*o->buffer.get(), device);
  o->resident_copy = std::make_unique<array>(
      make_leaf(o->spec, o->layout, std::move(copy), device));
  return o->resident_copy->output();
}

struct Work {
  std::shared_ptr<Instance> instance;
  std::vector<Output*> leaves;
  std::vector<uint8_t> free_leaf;
  std::vector<std::pair<Output*, uint32_t>> results;
  std::vector<Node*> nodes;
  Stream stream;
};

bool pending(const std::vector<Output*>& leaves) {
  for (Output* o : leaves) {
    if (o->node->event && !(o->node->event->done() && !o->node->event->error())) return true;
  }
  return false;
}

// Gives the nodes their buffers and drops what they held.
void settle(Work& w, Run& run, const std::shared_ptr<Event>& event) {
  for (auto [o, v] : w.results) {
    o->buffer = run.buffer_of(v);
    o->layout = run.instance->layouts[v];
  }
  mark_evaluated(w.nodes, event);
}

void launch(Work w) {
  bool inline_run = !executor_available() ||
                    (w.instance->touched_bytes < kInlineBytes && executor_idle() &&
                     !pending(w.leaves));
  Run run = runtime::bind(w.instance, w.leaves, w.free_leaf, w.stream, inline_run);
  if (inline_run) {
    std::shared_ptr<Event> failed;
    try {
      check_inputs(run.after);
      execute(run, 1);
    } catch (...) {
      failed = std::make_shared<Failed>(std::current_exception());
    }
    settle(w, run, failed);
    return;
  }
  for (uint32_t v = 0; v < w.results.size(); ++v) run.buffer_of(w.results[v].second);
  int threads = backend(w.stream.device.type).threads();
  auto shared = std::make_shared<Run>(run);
  auto event = enqueue([shared, threads]() mutable {
    check_inputs(shared->after);
    execute(*shared, threads);
    shared.reset();
  });
  settle(w, run, event);
}

void run_plain(std::span<Node* const> nodes) {
  Segment s = collect(nodes);
  if (!planning_enabled()) {
    for (Output* o : s.program.leaves) {
      if (o->node->event) check_inputs({o->node->event});
    }
    interpret(s);
    mark_evaluated(s.nodes, nullptr);
    return;
  }
  Work w;
  w.stream = s.stream;
  for (size_t i = 0; i < s.program.leaves.size(); ++i) {
    Output*& o = s.program.leaves[i];
    bool only_here = o->refs.load(std::memory_order_acquire) == s.leaf_edges[i];
    Output* here = resident(o, s.stream.device);
    w.free_leaf.push_back(only_here && here == o);
    o = s.program.values[i] = here;
  }
  w.leaves = s.program.leaves;
  w.instance = instance_for(s.program, s.stream.device.type);
  w.results = std::move(s.results);
  w.nodes = std::move(s.nodes);
  launch(std::move(w));
}

void run_region(Node* n) {
  const Graph& graph = *n->op->graph();
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    if (graph.inputs[i].spec() == n->inputs()[i].spec()) continue;
    // Other sizes than those of the trace: record the body for them.
    Arrays out = n->op->expand(n->input_arrays());
    run_nodes(unevaluated(out));
    for (uint32_t j = 0; j < n->num_outputs; ++j) {
      Output* o = out[j].output();
      n->output(j).buffer = o->buffer;
      n->output(j).layout = o->layout;
      if (o->node->event) n->event = o->node->event;
    }
    mark_evaluated({&n, 1}, n->event);
    return;
  }
  if (!planning_enabled()) {
    Segment s = region_segment(graph, *n);
    interpret(s);
    mark_evaluated({&n, 1}, nullptr);
    return;
  }
  RegionCall call = region_call(graph, *n);
  Work w;
  w.stream = n->stream;
  w.instance = call.instance;
  w.leaves = std::move(call.leaves);
  w.free_leaf = std::move(call.free_leaf);
  w.results = std::move(call.results);
  w.nodes = {n};
  launch(std::move(w));
}

}  // namespace

void mark_evaluated(std::span<Node* const> nodes, const std::shared_ptr<Event>& event) {
  for (Node* n : nodes) {
    bool bound = false;
    for (Output& o : n->outputs()) bound = bound || o.buffer;
    if (!bound) continue;
    n->event = event;
    n->status.store(event ? Status::scheduled : Status::available,
                    std::memory_order_release);
  }
  // Only now may nodes go away: dropping one's inputs can free another.
  Arrays last;
  for (Node* n : nodes) {
    for (Output& o : n->outputs()) {
      if (!o.buffer) continue;
      last.emplace_back(&o);
      break;
    }
  }
  for (const array& a : last) {
    Node* n = a.node();
    if (Trace::keeps(*n)) {
      Trace::keep(a);
    } else {
      n->detach();
    }
  }
}

void run_nodes(const std::vector<Node*>& nodes) {
  for (size_t i = 0; i < nodes.size();) {
    if (nodes[i]->evaluated()) {
      ++i;
      continue;
    }
    if (nodes[i]->op->kind() == OpKind::region) {
      run_region(nodes[i++]);
      continue;
    }
    size_t end = i + 1;
    while (end < nodes.size() && nodes[end]->stream == nodes[i]->stream &&
           nodes[end]->op->kind() != OpKind::region) {
      ++end;
    }
    run_plain({nodes.data() + i, end - i});
    i = end;
  }
}

void start(std::span<const array> targets) {
  if (evaluating) return;
  std::lock_guard lock(eval_mutex());
  evaluating = true;
  struct Done {
    ~Done() { evaluating = false; }
  } done;
  // The targets may be all that keeps the nodes alive.
  run_nodes(unevaluated(targets));
}

void wait(std::span<const array> targets) {
  for (const array& a : targets) {
    if (a.null()) continue;
    Node* n = a.node();
    if (n->status.load(std::memory_order_acquire) != Status::scheduled) continue;
    n->event->wait();
    if (auto error = n->event->error()) std::rethrow_exception(error);
  }
}

}  // namespace treadle::runtime
