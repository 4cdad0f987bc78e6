#include "treadle/runtime/collect.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/behind.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/runtime/interpreter.h"
#include "treadle/runtime/kernel.h"

namespace treadle::runtime {

namespace {

// Marks the nodes of one walk; guarded by the eval mutex.
uint64_t next_mark() {
  static uint64_t mark = 0;
  return ++mark;
}

class Collector {
 public:
  explicit Collector(Segment& out) : out_(out) {
    out_.clear();
    input_refs_.clear();
  }

  void run(std::span<Node* const> nodes) {
    out_.stream = nodes.front()->stream;
    mark_ = next_mark();
    for (Node* n : nodes) add(n);
    number_values();
    find_wanted();
  }

  void run_body(const Graph& graph,
                std::span<Node* const> nodes,
                std::vector<uint32_t>* outputs) {
    body_ = true;
    mark_ = next_mark();
    for (Node* n : nodes) add(n);
    for (const array& y : graph.outputs) ref_of(y);
    number_values();
    for (const array& y : graph.outputs) {
      outputs->push_back(number({y.output()->step, y.output()->slot}));
      out_.program.wanted[outputs->back()] = 1;
    }
  }

 private:
  // A value is a leaf (index) or an output of a step: numbers follow once all
  // leaves are known.
  struct Ref {
    int32_t step;
    uint32_t index;
  };
  static constexpr int32_t kLeaf = -1, kUnknown = -2;

  // The scratch of an output, fresh when this collection meets it first.
  Output& touch(Output* o) const {
    if (o->mark != mark_) {
      o->mark = mark_;
      o->step = kUnknown;
      o->edges = 0;
    }
    return *o;
  }

  Ref ref_of(const array& x) {
    Output& o = touch(x.output());
    if (o.step == kUnknown) set_ref(&o, leaf(&o));
    return {o.step, o.slot};
  }

  void set_ref(Output* o, Ref r) {
    touch(o).step = r.step;
    o->slot = r.index;
  }

  Ref leaf(Output* o) {
    Node* n = o->node;
    if (n->placeholder && !body_) placeholder_error("eval", *n);
    if (n->scalar) {
      // Equal numbers are one leaf, so that equal expressions merge.
      uint64_t bits;
      std::memcpy(&bits, n->inline_value, 8);
      bits = bits * 31 + uint64_t(o->spec.dtype);
      for (auto [key, index] : scalars_) {
        Output* other = out_.program.leaves[index];
        if (key == bits && other->spec.dtype == o->spec.dtype &&
            std::memcmp(other->node->inline_value, n->inline_value, 8) == 0) {
          return {kLeaf, index};
        }
      }
      scalars_.emplace_back(bits, uint32_t(out_.program.leaves.size()));
    }
    out_.program.leaves.push_back(o);
    out_.leaf_edges.push_back(0);
    return {kLeaf, uint32_t(out_.program.leaves.size() - 1)};
  }

  void add(Node* n) {
    out_.nodes.push_back(n);
    count_edges(n);
    if (n->op->kind() == OpKind::composite && !has_kernel(n)) {
      expand(n);
      return;
    }
    plan::Program::Step step{n, uint32_t(input_refs_.size()), 0};
    for (const array& x : n->inputs()) input_refs_.push_back(ref_of(x));
    int32_t index = int32_t(out_.program.nodes.size());
    out_.program.nodes.push_back(step);
    for (Output& o : n->outputs()) set_ref(&o, {index, o.index});
  }

  // Without planning the expansion is the reference.
  bool has_kernel(Node* n) const {
    if (!planning_enabled()) return false;
    Specs in, out;
    for (const array& x : n->inputs()) in.push_back(x.spec());
    for (Output& o : n->outputs()) out.push_back(o.spec);
    return kernel_table(n->stream.device.type).find(*n->op, in, out) != nullptr;
  }

  void expand(Node* n) {
    StreamScope scope(n->stream);
    RegionScope region(n->region);
    uint64_t first = next_seq();
    Arrays in = n->input_arrays();
    Arrays out = n->op->expand(in);
    for (uint32_t j = 0; j < n->num_outputs; ++j) {
      if (out[j].spec() == n->output(j).spec) continue;
      // Its readers have been told another size.
      invalid(n->op->name(),
              fmt::format("expands to {}; its shape rule says {}.",
                          to_string(out[j].spec()),
                          to_string(n->output(j).spec)));
    }
    const std::vector<Node*> fresh = nodes_behind(out, [&](const array& a) {
      Node* m = a.node();
      if (m->seq < first || m->plan_mark == mark_ || m->evaluated()) {
        return false;
      }
      m->plan_mark = mark_;
      return true;
    });
    for (Node* m : fresh) {
      m->in_trace = false;
      add(m);
    }
    for (uint32_t j = 0; j < n->num_outputs; ++j) {
      Ref r = ref_of(out[j]);
      set_ref(&n->output(j), r);
      out_.keep_alive.push_back(out[j]);
      ++touch(out[j].output()).edges;
    }
  }

  // Edges of collected nodes are no holders, unless the node stays readable.
  void count_edges(Node* n) {
    if (Trace::keeps(*n)) return;
    for (const array& x : n->inputs()) ++touch(x.output()).edges;
  }

  uint32_t number(Ref r) const {
    return r.step == kLeaf
               ? r.index
               : out_.program.nodes[size_t(r.step)].first_out + r.index;
  }

  void number_values() {
    plan::Program& p = out_.program;
    uint32_t next = uint32_t(p.leaves.size());
    for (plan::Program::Step& step : p.nodes) {
      step.first_out = next;
      next += step.node->num_outputs;
    }
    p.inputs.reserve(input_refs_.size());
    for (Ref r : input_refs_) p.inputs.push_back(number(r));
    p.values = p.leaves;
    for (plan::Program::Step& step : p.nodes) {
      for (Output& o : step.node->outputs()) p.values.push_back(&o);
    }
    p.wanted.assign(next, 0);
  }

  void find_wanted() {
    plan::Program& p = out_.program;
    for (Node* n : out_.nodes) {
      for (Output& o : n->outputs()) {
        bool held = o.refs.load(std::memory_order_acquire) > touch(&o).edges;
        if (!held && !(n->num_outputs > 1 && Trace::keeps(*n))) continue;
        uint32_t v = number({o.step, o.slot});
        p.wanted[v] = 1;
        out_.results.emplace_back(&o, v);
      }
    }
    for (size_t i = 0; i < p.leaves.size(); ++i) {
      out_.leaf_edges[i] = touch(p.leaves[i]).edges;
    }
  }

  Segment& out_;
  bool body_ = false;  // of a traced function: placeholders are leaves
  uint64_t mark_ = 0;
  std::vector<std::pair<uint64_t, uint32_t>> scalars_;
  static std::vector<Ref>
      input_refs_;  // keeps its capacity; the eval mutex is held
};

std::vector<Collector::Ref> Collector::input_refs_;

}  // namespace

void Segment::clear() {
  program.leaves.clear();
  program.nodes.clear();
  program.inputs.clear();
  program.values.clear();
  program.wanted.clear();
  keep_alive.clear();
  results.clear();
  nodes.clear();
  leaf_edges.clear();
}

void find_unevaluated(std::span<const array> targets,
                      std::vector<Node*>& found) {
  found.clear();
  uint64_t mark = next_mark();
  auto visit = [&](const array& a) {
    Node* n = a.node();
    if (n->plan_mark == mark || n->evaluated()) return;
    n->plan_mark = mark;
    if (n->placeholder) placeholder_error("eval", *n);
    found.push_back(n);
  };
  for (const array& a : targets) {
    if (!a.null()) visit(a);
  }
  // Breadth first: `found` is its own queue.
  for (size_t i = 0; i < found.size(); ++i) {
    for (const array& x : found[i]->inputs()) visit(x);
  }
  auto by_seq = [](Node* a, Node* b) { return a->seq < b->seq; };
  std::reverse(found.begin(), found.end());  // chains are then in order already
  if (!std::is_sorted(found.begin(), found.end(), by_seq)) {
    std::sort(found.begin(), found.end(), by_seq);
  }
}

std::vector<Node*> unevaluated(std::span<const array> targets) {
  std::vector<Node*> found;
  find_unevaluated(targets, found);
  return found;
}

std::vector<Node*> body_nodes(const Graph& graph) {
  uint64_t mark = next_mark();
  std::vector<Node*> found, stack;
  auto visit = [&](const array& a) {
    Node* n = a.node();
    if (n->plan_mark == mark || n->placeholder || n->seq < graph.first_seq ||
        !n->op)
      return;
    n->plan_mark = mark;
    stack.push_back(n);
  };
  for (const array& y : graph.outputs) visit(y);
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    found.push_back(n);
    for (const array& x : n->inputs()) visit(x);
  }
  std::sort(found.begin(), found.end(), [](Node* a, Node* b) {
    return a->seq < b->seq;
  });
  return found;
}

Segment collect_body(const Graph& graph,
                     std::span<Node* const> nodes,
                     std::vector<uint32_t>* outputs) {
  Segment s;
  Collector(s).run_body(graph, nodes, outputs);
  return s;
}

void collect(std::span<Node* const> nodes, Segment& out) {
  Collector(out).run(nodes);
}

}  // namespace treadle::runtime
