#include "treadle/io/function_calls.h"

#include <algorithm>

#include "treadle/base/error.h"
#include "treadle/graph/graph.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/create.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/walk.h"
#include "treadle/transforms/checkpoint.h"
#include "treadle/transforms/custom_function.h"

namespace treadle {

namespace {

// Lives while a file is being written; no row of cases can record it.
struct CallOp : Composite<CallOp> {
  static constexpr std::string_view op_name{"call"};
  std::shared_ptr<const SavedCall> call;
  Specs results;
  uint64_t num_arguments = 0;

  auto fields() const { return std::tie(num_arguments); }
  void hash_structure(Hasher& h) const override {
    h.add(op_name);
    h.add(uint64_t(reinterpret_cast<uintptr_t>(call.get())));
  }
  bool same_as(const Op& other) const override {
    const CallOp* o = as<CallOp>(other);
    return o && o->call == call;
  }
  Specs infer(std::span<const Spec>) const override { return results; }
  Arrays expand(const Arrays& x) const override { return run_call(call, x); }
};

void append(Arrays* to, const Arrays& more) {
  to->insert(to->end(), more.begin(), more.end());
}

// The graphs of a call before they are saved.
struct Graphs {
  Graph body;
  std::optional<Graph> vjp, jvp;
  Arrays captures;  // of all of them

  void capture(const Graph& g) {
    for (const array& x : captures_of(g)) {
      const bool known =
          std::any_of(captures.begin(), captures.end(), [&](const array& c) {
            return same_array(c, x);
          });
      if (!known) captures.push_back(x);
    }
  }
  SavedGraph save(const Graph& g) const {
    Arrays in = g.inputs;
    append(&in, captures);
    return save_graph(in, g.outputs, g.first_seq, true);
  }
};

Arrays placeholders(const Trace& trace, const Arrays& like) {
  Arrays out;
  for (const array& x : like) out.push_back(trace.placeholder(x.spec()));
  return out;
}

// Null stands for zero in what a rule returns.
Graph rule_graph(const Trace& trace,
                 Arrays inputs,
                 Arrays outputs,
                 const Arrays& like) {
  for (size_t i = 0; i < outputs.size() && i < like.size(); ++i) {
    if (outputs[i].null()) outputs[i] = zeros_like(like[i]);
  }
  Graph g;
  g.inputs = std::move(inputs);
  g.outputs = std::move(outputs);
  g.first_seq = trace.first_seq();
  return g;
}

CallToSave finish(const Graphs& g,
                  std::shared_ptr<SavedCall> call,
                  const Arrays& arguments,
                  Specs results) {
  call->num_arguments = arguments.size();
  call->body = g.save(g.body);
  if (g.vjp) call->vjp = g.save(*g.vjp);
  if (g.jvp) call->jvp = g.save(*g.jvp);
  CallOp op;
  op.num_arguments = call->num_arguments;
  op.call = std::move(call);
  op.results = std::move(results);
  CallToSave out{make_op(std::move(op)), arguments};
  append(&out.inputs, g.captures);
  return out;
}

Arrays range(const Arrays& x, size_t begin, size_t end) {
  return {x.begin() + long(begin), x.begin() + long(end)};
}

}  // namespace

std::optional<CallToSave> call_of(Node& n) {
  const auto checkpoint = checkpoint_of(*n.op);
  const auto custom = custom_function_of(*n.op);
  if (!checkpoint && !custom) return {};
  const Arrays in = n.input_arrays();
  Specs results;
  for (Output& o : n.outputs()) results.push_back(o.spec);
  auto call = std::make_shared<SavedCall>();
  Graphs g;
  if (checkpoint) {
    const Graph& body = *checkpoint->body;
    const size_t count = checkpoint->num_arguments;
    call->checkpoint = true;
    g.body.inputs = range(body.inputs, 0, count);
    g.body.outputs = body.outputs;
    g.body.first_seq = body.first_seq;
    g.captures = range(body.inputs, count, body.inputs.size());
    return finish(g, std::move(call), range(in, 0, count), std::move(results));
  }
  const size_t count = custom->num_primals;
  const Arrays primals = range(in, 0, count);
  const Arrays outputs = range(in, count, in.size());
  const CustomRules& rules = *custom->rules;
  if (count == 0 || (!rules.vjp && !rules.jvp)) return {};
  g.body.inputs = primals;
  g.body.outputs = outputs;
  g.body.first_seq = primals[0].node()->seq;
  for (const array& x : primals) {
    g.body.first_seq = std::min(g.body.first_seq, x.node()->seq);
  }
  g.capture(g.body);
  Trace trace("export_function");
  if (rules.vjp) {
    const Arrays x = placeholders(trace, primals);
    const Arrays ct = placeholders(trace, outputs);
    const Arrays y = placeholders(trace, outputs);
    Arrays all = x;
    append(&all, ct);
    append(&all, y);
    g.vjp = rule_graph(trace, std::move(all), rules.vjp(x, ct, y), x);
    g.capture(*g.vjp);
  }
  if (rules.jvp) {
    const Arrays x = placeholders(trace, primals);
    const Arrays t = placeholders(trace, primals);
    Arrays all = x;
    append(&all, t);
    g.jvp = rule_graph(trace, std::move(all), rules.jvp(x, t), outputs);
    g.capture(*g.jvp);
  }
  return finish(g, std::move(call), primals, std::move(results));
}

std::shared_ptr<const SavedCall> saved_call(const Op& op) {
  const CallOp* c = as<CallOp>(op);
  return c ? c->call : nullptr;
}

bool fits(const SavedCall& call, size_t inputs) {
  const size_t n = call.num_arguments;
  if (n > inputs) return false;
  const size_t captures = inputs - n, results = call.body.outputs.size();
  auto has = [](const SavedGraph& g, size_t in, size_t out) {
    return g.inputs.size() == in && g.outputs.size() == out;
  };
  return has(call.body, inputs, results) &&
         (!call.vjp || has(*call.vjp, n + 2 * results + captures, n)) &&
         (!call.jvp || has(*call.jvp, 2 * n + captures, results));
}

namespace {

// The graph on what it was traced with; rules are given nothing else.
Arrays replay_checked(const SavedGraph& g, const Arrays& x) {
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i].spec() != g.inputs[i]) {
      invalid("import_function", "a rule does not take its arguments.");
    }
  }
  return replay(g, x);
}

}  // namespace

Arrays run_call(const std::shared_ptr<const SavedCall>& call,
                const Arrays& in) {
  const size_t n = size_t(call->num_arguments);
  const ArraysFn body = [call](const Arrays& x) {
    return replay_checked(call->body, x);
  };
  if (call->checkpoint) return checkpoint(body)(in);
  // Captures are primals too, without a derivative of their own, so that rules
  // hold no array.
  CustomRules rules;
  if (call->vjp) {
    rules.vjp = [call, n](const Arrays& x, const Arrays& ct, const Arrays& y) {
      Arrays all = range(x, 0, n);
      append(&all, ct);
      append(&all, y);
      append(&all, range(x, n, x.size()));
      Arrays g = replay_checked(*call->vjp, all);
      g.resize(x.size());
      return g;
    };
  }
  if (call->jvp) {
    rules.jvp = [call, n](const Arrays& x, const Arrays& t) {
      Arrays all = range(x, 0, n);
      for (size_t i = 0; i < n; ++i) {
        all.push_back(t[i].null() ? zeros_like(x[i]) : t[i]);
      }
      append(&all, range(x, n, x.size()));
      return replay_checked(*call->jvp, all);
    };
  }
  return custom_function(body, std::move(rules))(in);
}

}  // namespace treadle
