#include "treadle/runtime/region.h"

#include <algorithm>
#include <unordered_map>

#include "treadle/graph/trace.h"
#include "treadle/runtime/backend.h"
#include "treadle/runtime/deterministic.h"
#include "treadle/runtime/eval.h"
#include "treadle/runtime/plan_cache.h"

namespace treadle::runtime {

namespace {

struct Body : BodyProgram {
  // Instances by the layouts of the arguments.
  std::vector<std::pair<Hash128, std::shared_ptr<Instance>>> instances;
};

std::shared_ptr<Body> make_body(const Graph& graph) {
  // Arrays made before the trace and not computed yet are constants too.
  std::vector<Node*> inside = body_nodes(graph);
  Arrays before;
  for (Node* n : inside) {
    for (const array& x : n->inputs()) {
      if (!x.node()->placeholder && x.node()->seq < graph.first_seq &&
          !x.node()->evaluated()) {
        before.push_back(x);
      }
    }
  }
  for (const array& y : graph.outputs) {
    if (!y.node()->placeholder && y.node()->seq < graph.first_seq)
      before.push_back(y);
  }
  run_nodes(unevaluated(before));
  auto body = std::make_shared<Body>();
  static_cast<BodyProgram&>(*body) = body_program(graph, inside);
  return body;
}

std::shared_ptr<Body> body_of(const Graph& graph) {
  if (!graph.prepared) graph.prepared = make_body(graph);
  return std::static_pointer_cast<Body>(graph.prepared);
}

std::vector<Output*> bound_leaves(const Body& body, Node& node) {
  std::vector<Output*> leaves;
  for (size_t i = 0; i < body.argument.size(); ++i) {
    int32_t a = body.argument[i];
    leaves.push_back(a < 0 ? body.program.leaves[i]
                           : node.inputs()[size_t(a)].output());
  }
  return leaves;
}

std::vector<std::pair<Output*, uint32_t>> held_results(const Body& body,
                                                       Node& node) {
  std::vector<std::pair<Output*, uint32_t>> results;
  for (size_t j = 0; j < body.outputs.size(); ++j) {
    Output& o = node.output(j);
    if (o.refs.load(std::memory_order_acquire) > 0 || Trace::keeps(node)) {
      results.emplace_back(&o, body.outputs[j]);
    }
  }
  return results;
}

plan::Program bound_program(const Body& body,
                            const std::vector<Output*>& leaves) {
  plan::Program p = body.program;
  p.leaves = leaves;
  std::copy(leaves.begin(), leaves.end(), p.values.begin());
  return p;
}

}  // namespace

BodyProgram body_program(const Graph& graph, std::span<Node* const> nodes) {
  std::unordered_map<Output*, int32_t> argument;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    argument[graph.inputs[i].output()] = int32_t(i);
  }
  // Composites are expanded on placeholders.
  ReopenedTrace reopened(graph.inputs);
  BodyProgram body;
  Segment s = collect_body(graph, nodes, &body.outputs);
  body.program = std::move(s.program);
  body.keep_alive = std::move(s.keep_alive);
  for (Output* o : body.program.leaves) {
    auto it = argument.find(o);
    body.argument.push_back(it == argument.end() ? -1 : it->second);
  }
  return body;
}

RegionCall region_call(const Graph& graph, Node& node) {
  auto body = body_of(graph);
  RegionCall call;
  call.leaves = bound_leaves(*body, node);
  Hasher h;
  h.add(uint64_t(backend(node.stream.device.type).threads()) * 2 +
        deterministic());
  for (Output* o : call.leaves) {
    h.add(uint64_t(o->layout.offset));
    for (int64_t s : o->layout.strides) h.add(uint64_t(s));
  }
  Hash128 layouts = h.result();
  for (auto& [key, instance] : body->instances) {
    if (key == layouts) call.instance = instance;
  }
  if (!call.instance) {
    call.instance = instance_for(bound_program(*body, call.leaves),
                                 node.stream.device.type);
    if (body->instances.size() >= 8)
      body->instances.erase(body->instances.begin());
    body->instances.emplace_back(layouts, call.instance);
  }
  // An input's memory may be taken over when this call is its only holder.
  std::vector<Output*> sorted = call.leaves;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < call.leaves.size(); ++i) {
    Output* o = call.leaves[i];
    auto [from, to] = std::equal_range(sorted.begin(), sorted.end(), o);
    uint32_t edges = 0;
    for (const array& x : node.inputs()) edges += x.output() == o;
    call.free_leaf.push_back(body->argument[i] >= 0 && to - from == 1 &&
                             !Trace::keeps(node) &&
                             o->refs.load(std::memory_order_acquire) == edges);
  }
  call.results = held_results(*body, node);
  return call;
}

Segment region_segment(const Graph& graph, Node& node) {
  auto body = body_of(graph);
  Segment s;
  s.stream = node.stream;
  s.program = bound_program(*body, bound_leaves(*body, node));
  s.results = held_results(*body, node);
  return s;
}

}  // namespace treadle::runtime
