#include "treadle/io/function_graph.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/behind.h"
#include "treadle/graph/graph.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/io/function_calls.h"
#include "treadle/io/function_ops.h"
#include "treadle/ops/attention.h"
#include "treadle/ops/scan.h"

namespace treadle {

namespace {

constexpr std::string_view kSave = "export_function";
constexpr std::string_view kCall = "import_function";
constexpr int kMaxDepth = 16;  // of loops and calls, and of expansions

// The nodes from `inputs` to `outputs` that were recorded in the trace, in
// order.
std::vector<Node*> nodes_of(const Arrays& inputs,
                            const Arrays& outputs,
                            uint64_t first_seq) {
  std::unordered_set<Node*> seen;
  for (const array& x : inputs) seen.insert(x.node());
  return nodes_behind(outputs, [&](const array& a) {
    Node* n = a.node();
    return n->op && n->seq >= first_seq && seen.insert(n).second;
  });
}

// Only the gradient reads the second output of attention; a file has the first.
bool is_whole(Node& n, const std::unordered_set<const Output*>& read) {
  if (as<Scan>(*n.op) || saved_call(*n.op)) return true;
  if (as<Attention>(*n.op)) return read.count(&n.output(1)) == 0;
  return can_save(*n.op);
}

Arrays expanded(const Op& op, const Arrays& in) {
  if (op.name() == "depends") return {in[0]};
  if (op.kind() != OpKind::composite && op.kind() != OpKind::region) {
    invalid(kSave,
            fmt::format("the operation '{}' cannot be written to a file.",
                        op.name()));
  }
  return op.expand(in);
}

// The outputs recorded anew, in operations that a file can hold.
Arrays lowered(const Arrays& inputs,
               Arrays outputs,
               uint64_t first_seq,
               bool calls) {
  for (int depth = 0;; ++depth) {
    const std::vector<Node*> nodes = nodes_of(inputs, outputs, first_seq);
    std::unordered_set<const Output*> read;
    for (Node* n : nodes) {
      for (const array& x : n->inputs()) read.insert(x.output());
    }
    for (const array& y : outputs) read.insert(y.output());
    if (std::all_of(nodes.begin(), nodes.end(), [&](Node* n) {
          return is_whole(*n, read);
        })) {
      return outputs;
    }
    if (depth == kMaxDepth) {
      invalid(kSave, "an operation expands into itself.");
    }
    std::unordered_map<const Output*, array> now;
    auto mapped = [&](const array& x) {
      auto it = now.find(x.output());
      return it == now.end() ? x : it->second;
    };
    for (Node* n : nodes) {
      if (calls) {
        if (auto call = call_of(*n)) {
          for (array& x : call->inputs) x = mapped(x);
          const Arrays out =
              record_all(call->op, std::move(call->inputs), n->stream);
          for (size_t i = 0; i < out.size(); ++i) {
            now.emplace(&n->output(i), out[i]);
          }
          continue;
        }
      }
      Arrays in;
      bool changed = false;
      for (const array& x : n->inputs()) {
        in.push_back(mapped(x));
        changed |= !same_array(in.back(), x);
      }
      const bool whole = is_whole(*n, read);
      if (whole && !changed) continue;
      const Arrays out =
          whole ? record_all(n->op, in, n->stream) : expanded(*n->op, in);
      for (size_t i = 0; i < out.size(); ++i) {
        if (!out[i].null()) now.emplace(&n->output(i), out[i]);
      }
    }
    for (array& y : outputs) y = mapped(y);
  }
}

std::shared_ptr<const SavedLoop> save_loop(const Scan& op, bool calls) {
  const ReopenedTrace reopened(op.body->inputs);
  auto loop = std::make_shared<SavedLoop>();
  loop->body =
      save_graph(op.body->inputs, op.body->outputs, op.body->first_seq, calls);
  loop->num_carry = op.num_carry;
  loop->num_xs = op.num_xs;
  loop->reverse = op.reverse;
  loop->length = op.length;
  return loop;
}

}  // namespace

SavedGraph save_graph(const Arrays& inputs,
                      Arrays outputs,
                      uint64_t first_seq,
                      bool calls) {
  outputs = lowered(inputs, std::move(outputs), first_seq, calls);
  const std::vector<Node*> nodes = nodes_of(inputs, outputs, first_seq);
  SavedGraph g;
  std::unordered_map<const Output*, uint32_t> value;
  for (const array& x : inputs) {
    value.emplace(x.output(), uint32_t(g.inputs.size()));
    g.inputs.push_back(x.spec());
  }
  std::unordered_set<const Output*> made, met;
  for (Node* n : nodes) {
    for (Output& o : n->outputs()) made.insert(&o);
  }
  auto leaf = [&](const array& x) {
    const Output* o = x.output();
    if (value.count(o) || made.count(o) || !met.insert(o).second) return;
    if (x.node()->placeholder) placeholder_error(kSave, *x.node());
    (x.node()->scalar ? g.numbers : g.constants).push_back(x);
  };
  for (Node* n : nodes) {
    for (const array& x : n->inputs()) leaf(x);
  }
  for (const array& y : outputs) leaf(y);
  eval(g.constants);
  for (const Arrays* leaves : {&g.constants, &g.numbers}) {
    for (const array& x : *leaves) {
      value.emplace(x.output(), uint32_t(value.size()));
    }
  }
  for (Node* n : nodes) {
    SavedNode s;
    for (const array& x : n->inputs()) s.in.push_back(value.at(x.output()));
    s.outputs = n->num_outputs;
    if (const Scan* scan = as<Scan>(*n->op)) {
      s.loop = save_loop(*scan, calls);
    } else if (auto call = saved_call(*n->op)) {
      s.call = std::move(call);
    } else {
      s.op = n->op;
    }
    for (Output& o : n->outputs()) value.emplace(&o, uint32_t(value.size()));
    g.nodes.push_back(std::move(s));
  }
  for (const array& y : outputs) g.outputs.push_back(value.at(y.output()));
  return g;
}

// --- Recording again ---------------------------------------------------------

namespace {

// Lengths of a file may multiply to more than any memory has.
void check_size(const Spec& s) {
  if (!bytes_in_file(s)) {
    invalid(kCall, fmt::format("{} is too large.", to_string(s)));
  }
}

Arrays run_loop(const SavedLoop& loop, const Arrays& in) {
  const size_t carry = loop.num_carry, before = carry + loop.num_xs;
  if (in.size() < before || in.size() != loop.body.inputs.size() ||
      loop.body.outputs.size() < carry) {
    invalid(kCall, "a loop has too few inputs.");
  }
  ScanOptions options;
  options.reverse = loop.reverse;
  if (loop.num_xs == 0) options.length = loop.length;
  for (size_t i = carry; i < before && in[i].ndim() > 0; ++i) {
    options.length = in[i].shape(0);
  }
  const auto at = [&](size_t i) { return in.begin() + long(i); };
  const Arrays captures(at(before), in.end());
  auto step = [&](const Arrays& c, const Arrays& x) -> ScanStep {
    Arrays all = c;
    all.insert(all.end(), x.begin(), x.end());
    all.insert(all.end(), captures.begin(), captures.end());
    Arrays out = replay(loop.body, all);
    for (size_t i = carry; i < out.size(); ++i) {
      Spec stacked = out[i].spec();
      stacked.shape.insert(stacked.shape.begin(), options.length.value_or(0));
      check_size(stacked);
    }
    const auto ys = out.begin() + long(carry);
    return {{out.begin(), ys}, {ys, out.end()}};
  };
  auto [last, ys] =
      scan(step, {in.begin(), at(carry)}, {at(carry), at(before)}, options);
  last.insert(last.end(), ys.begin(), ys.end());
  return last;
}

}  // namespace

Arrays replay(const SavedGraph& g,
              const Arrays& inputs,
              const Replacements* other) {
  Arrays values = inputs;
  values.insert(values.end(), g.constants.begin(), g.constants.end());
  for (size_t i = 0; i < g.numbers.size(); ++i) {
    const bool changed = other && !other->numbers[i].null();
    values.push_back(changed ? other->numbers[i] : g.numbers[i]);
  }
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const SavedNode& n = g.nodes[i];
    Arrays in;
    for (uint32_t v : n.in) {
      if (values[v].null()) invalid(kCall, "a value is read that is not kept.");
      in.push_back(values[v]);
    }
    Arrays out;
    if (n.loop) {
      out = run_loop(*n.loop, in);
    } else if (n.call) {
      out = run_call(n.call, in);
    } else if (other && !other->lengths[i].empty()) {
      out = record_again(*with_lengths(*n.op, other->lengths[i]), in);
    } else {
      out = record_again(*n.op, in);
    }
    if (out.size() != n.outputs) {
      invalid(kCall, "an operation has another number of results.");
    }
    for (const array& y : out) {
      if (!y.null()) check_size(y.spec());
    }
    values.insert(values.end(), out.begin(), out.end());
  }
  Arrays out;
  for (uint32_t v : g.outputs) {
    if (values[v].null()) invalid(kCall, "a result is a value not kept.");
    out.push_back(values[v]);
  }
  return out;
}

// --- Files -------------------------------------------------------------------

uint64_t ConstantPool::add(const array& x) {
  for (size_t i = 0; i < arrays_.size(); ++i) {
    if (same_array(arrays_[i], x)) return i;
  }
  arrays_.push_back(x);
  return arrays_.size() - 1;
}

void write_spec(FileWriter& w, const Spec& s) {
  w.number(uint64_t(s.dtype));
  w.number(uint64_t(s.shape.size()));
  for (int64_t d : s.shape) w.number(uint64_t(d));
}

Spec read_spec(FileReader& r) {
  Spec s;
  const auto dtype = r.number<uint64_t>();
  if (dtype >= uint64_t(kNumDtypes)) r.bad("has a dtype that is not known.");
  s.dtype = static_cast<Dtype>(dtype);
  const auto ndim = r.number<uint64_t>();
  if (ndim > 64) r.bad("has an array of more than 64 axes.");
  for (uint64_t i = 0; i < ndim; ++i) {
    const auto d = r.number<uint64_t>();
    if (d > uint64_t(INT64_MAX)) r.bad("has an axis of a negative length.");
    s.shape.push_back(int64_t(d));
  }
  if (!bytes_in_file(s)) r.bad("has an array that is too large.");
  return s;
}

namespace {

void write_indices(FileWriter& w, const std::vector<uint32_t>& v) {
  w.number(uint64_t(v.size()));
  for (uint32_t i : v) w.number(i);
}

// Numbers of values, of which there are `values` so far.
std::vector<uint32_t> read_indices(FileReader& r, uint64_t values) {
  std::vector<uint32_t> v;
  for (uint64_t n = r.count(r.number<uint64_t>(), 4); n > 0; --n) {
    v.push_back(r.number<uint32_t>());
    if (v.back() >= values) r.bad("reads a value that is not there yet.");
  }
  return v;
}

enum class Tag : uint32_t { op, loop, call };

}  // namespace

void write_graph(FileWriter& w, const SavedGraph& g, ConstantPool& pool) {
  w.number(uint64_t(g.inputs.size()));
  for (const Spec& s : g.inputs) write_spec(w, s);
  w.number(uint64_t(g.constants.size()));
  for (const array& x : g.constants) w.number(pool.add(x));
  w.number(uint64_t(g.numbers.size()));
  for (const array& x : g.numbers) {
    write_spec(w, x.spec());
    uint64_t bits = 0;
    std::memcpy(&bits, x.node()->inline_value, sizeof bits);
    w.number(bits);
  }
  w.number(uint64_t(g.nodes.size()));
  for (const SavedNode& n : g.nodes) {
    w.number(n.loop ? Tag::loop : n.call ? Tag::call : Tag::op);
    write_indices(w, n.in);
    w.number(n.outputs);
    if (n.loop) {
      w.number(n.loop->num_carry);
      w.number(n.loop->num_xs);
      w.number(uint64_t(n.loop->reverse));
      w.number(n.loop->length);
      write_graph(w, n.loop->body, pool);
    } else if (n.call) {
      w.number(uint64_t(n.call->checkpoint));
      w.number(n.call->num_arguments);
      write_graph(w, n.call->body, pool);
      for (const auto* rule : {&n.call->vjp, &n.call->jvp}) {
        w.number(uint64_t(rule->has_value()));
        if (*rule) write_graph(w, **rule, pool);
      }
    } else {
      write_op(w, *n.op);
    }
  }
  write_indices(w, g.outputs);
}

namespace {

array read_number(FileReader& r) {
  const Spec s = read_spec(r);
  const auto bits = r.number<uint64_t>();
  if (!s.shape.empty()) r.bad("has a number that is an array.");
  alignas(8) unsigned char value[8];
  std::memcpy(value, &bits, sizeof value);
  if (s.dtype == bool_) value[0] = value[0] != 0;
  // As a number again, not as memory, so that plans see one.
  array x(Scalar(0), s.dtype);
  std::memcpy(x.node()->inline_value, value, size_of(s.dtype));
  return x;
}

}  // namespace

SavedGraph read_graph(FileReader& r, const Arrays& pool, int depth) {
  if (depth > kMaxDepth) r.bad("has too many functions in functions.");
  SavedGraph g;
  for (uint64_t n = r.count(r.number<uint64_t>(), 16); n > 0; --n) {
    g.inputs.push_back(read_spec(r));
  }
  for (uint64_t n = r.count(r.number<uint64_t>(), 8); n > 0; --n) {
    const auto i = r.number<uint64_t>();
    if (i >= pool.size()) r.bad("names a constant that is not there.");
    g.constants.push_back(pool[size_t(i)]);
  }
  for (uint64_t n = r.count(r.number<uint64_t>(), 24); n > 0; --n) {
    g.numbers.push_back(read_number(r));
  }
  uint64_t values = g.first_node_value();
  for (uint64_t n = r.count(r.number<uint64_t>(), 20); n > 0; --n) {
    SavedNode node;
    const auto tag = r.number<Tag>();
    node.in = read_indices(r, values);
    node.outputs = r.number<uint32_t>();
    if (node.outputs > (1u << 20)) r.bad("has an operation of many results.");
    if (tag == Tag::loop) {
      auto loop = std::make_shared<SavedLoop>();
      loop->num_carry = r.number<uint64_t>();
      loop->num_xs = r.number<uint64_t>();
      loop->reverse = r.number<uint64_t>() != 0;
      loop->length = r.number<int64_t>();
      if (loop->num_carry > node.in.size() ||
          loop->num_xs > node.in.size() - loop->num_carry) {
        r.bad("has a loop with too few inputs.");
      }
      loop->body = read_graph(r, pool, depth + 1);
      node.loop = std::move(loop);
    } else if (tag == Tag::call) {
      auto call = std::make_shared<SavedCall>();
      call->checkpoint = r.number<uint64_t>() != 0;
      call->num_arguments = r.number<uint64_t>();
      call->body = read_graph(r, pool, depth + 1);
      for (auto* rule : {&call->vjp, &call->jvp}) {
        if (r.number<uint64_t>() != 0) *rule = read_graph(r, pool, depth + 1);
      }
      if (!fits(*call, node.in.size())) {
        r.bad("has a function whose rules do not fit it.");
      }
      node.call = std::move(call);
    } else if (tag == Tag::op) {
      node.op = read_op(r);
    } else {
      r.bad("has a node of a kind that is not known.");
    }
    values += node.outputs;
    if (values > UINT32_MAX) r.bad("has too many values.");
    g.nodes.push_back(std::move(node));
  }
  g.outputs = read_indices(r, values);
  return g;
}

}  // namespace treadle
