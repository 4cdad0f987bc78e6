#include "treadle/transforms/checkpoint.h"

#include <algorithm>
#include <memory>
#include <unordered_set>

#include "treadle/graph/graph.h"
#include "treadle/graph/node.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/views.h"
#include "treadle/ops/walk.h"

namespace treadle {

namespace {

// Stands behind a function's results. Inputs: what the body reads, then the
// results; it passes these on, and answers the reverse walk with the body's
// pullback, recorded anew. The walk has no reason to enter the first recording.
struct Checkpoint : Composite<Checkpoint> {
  static constexpr std::string_view op_name = "checkpoint";
  std::shared_ptr<const Graph> body;
  size_t num_arguments = 0;  // the rest of the body's inputs are captures

  auto fields() const { return std::tie(num_arguments); }
  void hash_structure(Hasher& h) const override {
    h.add(op_name);
    h.add(uint64_t(reinterpret_cast<uintptr_t>(body.get())));
  }
  bool same_as(const Op& other) const override {
    const Checkpoint* o = as<Checkpoint>(other);
    return o && o->body == body;
  }

  size_t num_read() const { return body->inputs.size(); }
  Specs infer(std::span<const Spec> in) const override {
    return {in.begin() + long(num_read()), in.end()};
  }
  Arrays expand(const Arrays& x) const override {
    return {x.begin() + long(num_read()), x.end()};
  }

  Arrays jvp(const Arrays&,
             const Arrays& y,
             const Arrays& t,
             Argnums args) const override {
    Arrays out(y.size());
    for (size_t i = 0; i < args.size(); ++i) {
      if (size_t(args[i]) >= num_read()) {
        out[size_t(args[i]) - num_read()] = t[i];
      }
    }
    return out;
  }

  Arrays vjp(const Arrays& x,
             const Arrays&,
             const Arrays& ct,
             Argnums args) const override {
    Trace trace("checkpoint");
    Arrays read, results;
    {
      RegionScope region(new_region());
      read = identities({x.begin(), x.begin() + long(num_read())});
      results = replay(body->inputs, read, body->outputs, body->first_seq);
    }
    Arrays wanted;
    for (int i : args) {
      if (size_t(i) < num_read()) wanted.push_back(read[size_t(i)]);
    }
    Arrays g = pullback(results, ct, wanted, trace.first_seq());
    g.resize(args.size());  // none for the first recording's results
    return g;
  }

  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
};

// All results are those of one checkpoint that this body does nothing but call.
bool only_calls_a_checkpoint(const Graph& body) {
  if (body.outputs.empty()) return false;
  const Node* call = body.outputs[0].node();
  const Checkpoint* inner = call->op && call->seq >= body.first_seq
                                ? as<Checkpoint>(*call->op)
                                : nullptr;
  if (!inner) return false;
  for (const array& y : body.outputs) {
    if (y.node() != call) return false;
  }
  auto inputs = const_cast<Node*>(call)->inputs();
  for (size_t i = 0; i < inner->num_arguments; ++i) {
    const bool own = std::any_of(
        body.inputs.begin(), body.inputs.end(), [&](const array& x) {
          return same_array(x, inputs[i]);
        });
    if (!own && inputs[i].node()->seq >= body.first_seq) return false;
  }
  return true;
}

// body's inputs are the arguments; `arguments` are what they stand for.
Arrays record_checkpoint(std::shared_ptr<Graph> body, const Arrays& arguments) {
  if (only_calls_a_checkpoint(*body)) return body->outputs;
  Checkpoint op;
  op.num_arguments = arguments.size();
  Arrays in = arguments, captures = captures_of(*body);
  in.insert(in.end(), captures.begin(), captures.end());
  in.insert(in.end(), body->outputs.begin(), body->outputs.end());
  body->inputs.insert(body->inputs.end(), captures.begin(), captures.end());
  op.body = std::move(body);
  return record_all(make_op(std::move(op)), std::move(in), resolve({}));
}

Mapped Checkpoint::vmap(const Arrays& x, std::span<const int> axes) const {
  Trace trace("checkpoint");
  const Arrays arguments{x.begin(), x.begin() + long(num_read())};
  auto mapped = std::make_shared<Graph>();
  mapped->first_seq = trace.first_seq();
  mapped->inputs = identities(arguments);
  Mapped m;
  mapped->outputs = batch(body->inputs,
                          mapped->inputs,
                          {axes.begin(), axes.begin() + long(num_read())},
                          body->outputs,
                          body->first_seq,
                          &m.axes);
  mapped->held = trace.held();
  m.outputs = record_checkpoint(std::move(mapped), arguments);
  return m;
}

}  // namespace

std::optional<CheckpointParts> checkpoint_of(const Op& op) {
  const Checkpoint* c = as<Checkpoint>(op);
  if (!c) return {};
  return CheckpointParts{c->body, c->num_arguments};
}

ArraysFn checkpoint(ArraysFn f) {
  return [f = std::move(f)](const Arrays& args) {
    // Without a trace there is no reverse walk to prepare for.
    if (!Trace::any_open()) return f(args);
    Trace trace("checkpoint");
    auto body = std::make_shared<Graph>();
    body->first_seq = trace.first_seq();
    body->inputs = identities(args);
    body->outputs = f(body->inputs);
    body->held = trace.held();
    return record_checkpoint(std::move(body), args);
  };
}

}  // namespace treadle
