// eval: collect, plan, bind, run.
#include "treadle/runtime/eval.h"

#include <exception>
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

// Held while nodes are collected, counted and bound, and for the few
// microseconds of plans too small for the executor.
std::mutex& eval_mutex() {
  static auto* m = new std::mutex;
  return *m;
}

thread_local bool evaluating = false;
// Of the evaluation that goes on; guarded by the eval mutex.
Awaited awaited_now = Awaited::no;

// A plan that touches fewer bytes runs at once on the calling thread: waking
// the executor and its threads would cost more.
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
  if (o->resident_copy &&
      o->resident_copy->output()->buffer->device == device) {
    return o->resident_copy->output();
  }
  if (o->node->event) o->node->event->wait();
  BufferPtr copy = copy_to_device(*o->buffer.get(), device);
  o->resident_copy = std::make_unique<array>(
      make_leaf(o->spec, o->layout, std::move(copy), device));
  return o->resident_copy->output();
}

// An instance and what it is to be bound to.
struct Work {
  std::shared_ptr<Instance> instance;
  std::span<Output* const> leaves;
  const std::vector<uint8_t>& free_leaf;
  std::span<const std::pair<Output*, uint32_t>> results;
  std::span<Node* const> nodes;
  Stream stream;
};

bool pending(std::span<Output* const> leaves) {
  for (Output* o : leaves) {
    if (o->node->event && !(o->node->event->done() && !o->node->event->error()))
      return true;
  }
  return false;
}

// Gives the nodes their buffers and drops what they held.
void settle(const Work& w, Run& run, const std::shared_ptr<Event>& event) {
  for (auto [o, v] : w.results) {
    o->buffer = run.buffer_of(v);
    o->layout = run.instance->layouts[v];
    const Node& n = *o->node;
    // A view keeps the name of what it looks at.
    if (o->buffer->bytes >= kNamedBytes && n.op &&
        n.op->kind() != OpKind::view) {
      name_block(*o->buffer.get(),
                 {n.module_path, std::string(n.op->name()), o->spec});
    }
  }
  mark_evaluated(w.nodes, event);
}

void launch(const Work& w) {
  bool inline_run =
      !executor_available() || (w.instance->touched_bytes < kInlineBytes &&
                                executor_idle() && !pending(w.leaves));
  if (inline_run) {
    static Run run;  // the eval mutex is held
    runtime::bind(w.instance, w.leaves, w.free_leaf, w.stream, true, run);
    std::shared_ptr<Event> failed;
    try {
      check_inputs(run.after);
      execute(run, 1);
    } catch (...) {
      failed = std::make_shared<Failed>(std::current_exception());
    }
    settle(w, run, failed);
    run.clear();
    return;
  }
  auto run = std::make_shared<Run>();
  runtime::bind(w.instance, w.leaves, w.free_leaf, w.stream, false, *run);
  for (auto [o, v] : w.results) run->buffer_of(v);
  int threads = backend(w.stream.device.type).threads();
  Run bound =
      *run;  // the job may end, and drop its own, before it is read here
  auto event = enqueue(
      [run = std::move(run), threads]() mutable {
        check_inputs(run->after);
        execute(*run, threads);
        run.reset();
      },
      awaited_now);
  settle(w, bound, event);
}

void run_plain(std::span<Node* const> nodes) {
  static Segment s;  // keeps its capacity; the eval mutex is held
  collect(nodes, s);
  struct Clear {
    ~Clear() { s.keep_alive.clear(); }
  } clear;
  if (!planning_enabled()) {
    for (Output* o : s.program.leaves) {
      if (o->node->event) check_inputs({o->node->event});
    }
    interpret(s);
    mark_evaluated(s.nodes, nullptr);
    return;
  }
  static std::vector<uint8_t> free_leaf;
  free_leaf.clear();
  for (size_t i = 0; i < s.program.leaves.size(); ++i) {
    Output*& o = s.program.leaves[i];
    bool only_here = o->refs.load(std::memory_order_acquire) == s.leaf_edges[i];
    Output* here = resident(o, s.stream.device);
    free_leaf.push_back(only_here && here == o);
    o = s.program.values[i] = here;
  }
  launch({instance_for(s.program, s.stream.device.type),
          s.program.leaves,
          free_leaf,
          s.results,
          s.nodes,
          s.stream});
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
  launch({call.instance,
          call.leaves,
          call.free_leaf,
          call.results,
          {&n, 1},
          n->stream});
}

}  // namespace

void mark_evaluated(std::span<Node* const> nodes,
                    const std::shared_ptr<Event>& event) {
  for (Node* n : nodes) {
    bool bound = false;
    for (Output& o : n->outputs()) bound = bound || o.buffer;
    if (!bound) continue;
    n->event = event;
    n->status.store(event ? Status::scheduled : Status::available,
                    std::memory_order_release);
  }
  // Only now may nodes go away: dropping one's inputs can free another.
  static Arrays bound;  // the eval mutex is held
  for (Node* n : nodes) {
    for (Output& o : n->outputs()) {
      if (!o.buffer) continue;
      bound.emplace_back(&o);
      break;
    }
  }
  for (const array& a : bound) {
    Node* n = a.node();
    if (Trace::keeps(*n)) {
      Trace::keep(a);
    } else {
      n->detach();
    }
  }
  bound.clear();
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

void for_each_plan(
    std::span<const array> targets,
    const std::function<void(const plan::Plan&, const plan::Program&)>& f) {
  std::lock_guard lock(eval_mutex());
  std::vector<Node*> nodes = unevaluated(targets);
  for (size_t i = 0; i < nodes.size();) {
    size_t end = i + 1;
    bool region = nodes[i]->op->kind() == OpKind::region;
    while (!region && end < nodes.size() &&
           nodes[end]->stream == nodes[i]->stream &&
           nodes[end]->op->kind() != OpKind::region) {
      ++end;
    }
    Segment s;
    if (region) {
      s = region_segment(*nodes[i]->op->graph(), *nodes[i]);
    } else {
      collect({nodes.data() + i, end - i}, s);
    }
    f(*plan::build(s.program), s.program);
    i = end;
  }
}

void start(std::span<const array> targets, Awaited awaited) {
  if (evaluating) return;
  std::lock_guard lock(eval_mutex());
  evaluating = true;
  awaited_now = awaited;
  struct Done {
    const int exceptions = std::uncaught_exceptions();
    ~Done() {
      evaluating = false;
      // What was queued before the failure is not waited for.
      if (std::uncaught_exceptions() > exceptions) wake_executor();
    }
  } done;
  static std::vector<Node*> nodes;  // keeps its capacity
  find_unevaluated(targets, nodes);
  run_nodes(nodes);
}

void wait(std::span<const array> targets) {
  for (const array& a : targets) {
    if (a.null()) continue;
    Node* n = a.node();
    if (n->status.load(std::memory_order_acquire) != Status::scheduled)
      continue;
    n->event->wait();
    if (auto error = n->event->error()) std::rethrow_exception(error);
  }
}

}  // namespace treadle::runtime
