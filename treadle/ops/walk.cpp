#include "treadle/ops/walk.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "treadle/base/error.h"
#include "treadle/graph/behind.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// Nodes recorded at first_seq or later that `outputs` depend on and that depend
// on `inputs`, in program order.
std::vector<Node*> between(const Arrays& inputs,
                           const Arrays& outputs,
                           uint64_t first_seq) {
  std::unordered_set<Node*> seen, reached;
  const std::vector<Node*> found = nodes_behind(outputs, [&](const array& a) {
    return a.node()->seq >= first_seq && seen.insert(a.node()).second;
  });
  for (const array& x : inputs) reached.insert(x.node());
  std::vector<Node*> path;
  for (Node* n : found) {
    bool on = false;
    // A constant of a traced function may be evaluated, and without inputs.
    for (const array& x : n->inputs()) {
      on = on || (!x.null() && reached.count(x.node()));
    }
    // An input's own history is not part of the function.
    if (!on || reached.count(n)) continue;
    reached.insert(n);
    path.push_back(n);
  }
  return path;
}

// Arrays attached to outputs of nodes.
class Attached {
 public:
  array get(const array& at) const {
    auto it = map_.find(at.output());
    return it == map_.end() ? array() : it->second;
  }
  void set(const array& at, array v) { map_[at.output()] = std::move(v); }
  bool has(const array& at) const { return map_.count(at.output()) > 0; }
  void add(const array& at, const array& v) {
    array& slot = map_[at.output()];
    slot = slot.null() ? v : treadle::add(slot, v);
  }
  void erase(const array& at) { map_.erase(at.output()); }

 private:
  std::unordered_map<Output*, array> map_;
};

// Rules record on the stream of the op they belong to, and in the name of the
// module in whose call it was recorded.
struct InPlaceOf {
  explicit InPlaceOf(const Node* n) : stream(n->stream) {
    if (n->module_path) module.emplace(n->module_path);
  }
  StreamScope stream;
  std::optional<ModuleScope> module;
};

}  // namespace

Arrays identities(const Arrays& x) {
  Arrays out;
  for (const array& a : x) out.push_back(record(Identity{}, {a}, resolve({})));
  return out;
}

Arrays pullback(const Arrays& outputs,
                const Arrays& cotangents,
                const Arrays& inputs,
                uint64_t first_seq) {
  std::vector<Node*> path = between(inputs, outputs, first_seq);
  std::unordered_set<Output*> active;
  for (const array& x : inputs) active.insert(x.output());
  for (Node* n : path) {
    for (Output& o : n->outputs()) active.insert(&o);
  }
  Attached ct;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].null() && !cotangents[i].null() &&
        active.count(outputs[i].output())) {
      ct.add(outputs[i], cotangents[i]);
    }
  }
  for (size_t k = path.size(); k-- > 0;) {
    Node* n = path[k];
    Arrays y = n->output_arrays(), cts;
    bool any = false;
    for (const array& o : y) {
      cts.push_back(ct.get(o));
      any = any || !cts.back().null();
      ct.erase(o);
    }
    if (!any) continue;
    std::vector<int> args;
    for (uint32_t i = 0; i < n->num_inputs; ++i) {
      if (active.count(n->inputs()[i].output())) args.push_back(int(i));
    }
    const InPlaceOf scope(n);
    Arrays g = n->op->vjp(n->input_arrays(), y, cts, args);
    for (size_t i = 0; i < args.size(); ++i) {
      if (!g[i].null()) ct.add(n->inputs()[size_t(args[i])], g[i]);
    }
  }
  Arrays result;
  for (const array& x : inputs) result.push_back(ct.get(x));
  return result;
}

Arrays pushforward(const Arrays& inputs,
                   const Arrays& tangents,
                   const Arrays& outputs,
                   uint64_t first_seq) {
  Attached t;
  for (size_t i = 0; i < inputs.size(); ++i) t.set(inputs[i], tangents[i]);
  for (Node* n : between(inputs, outputs, first_seq)) {
    std::vector<int> args;
    Arrays ts;
    for (uint32_t i = 0; i < n->num_inputs; ++i) {
      array ti = t.get(n->inputs()[i]);
      if (ti.null()) continue;
      args.push_back(int(i));
      ts.push_back(ti);
    }
    if (args.empty()) continue;
    Arrays y = n->output_arrays();
    const InPlaceOf scope(n);
    Arrays out = n->op->jvp(n->input_arrays(), y, ts, args);
    for (size_t i = 0; i < y.size(); ++i) {
      if (!out[i].null()) t.set(y[i], out[i]);
    }
  }
  Arrays result;
  for (const array& y : outputs) result.push_back(t.get(y));
  return result;
}

Arrays batch(const Arrays& inputs,
             const Arrays& batched,
             const std::vector<int>& axes,
             const Arrays& outputs,
             uint64_t first_seq,
             std::vector<int>* out_axes) {
  Attached value;
  std::unordered_map<Output*, int> axis;
  for (size_t i = 0; i < inputs.size(); ++i) {
    value.set(inputs[i], batched[i]);
    axis[inputs[i].output()] = axes[i];
  }
  auto axis_of = [&](const array& x) {
    auto it = axis.find(x.output());
    return it == axis.end() ? kNotMapped : it->second;
  };
  for (Node* n : between(inputs, outputs, first_seq)) {
    Arrays x;
    std::vector<int> in_axes;
    bool mapped = false, none = false;
    for (const array& in : n->inputs()) {
      x.push_back(value.has(in) ? value.get(in) : in);
      in_axes.push_back(axis_of(in));
      if (in_axes.back() == kNotMapped) continue;
      mapped = true;
      none = x.back().shape(in_axes.back()) == 0;
    }
    const InPlaceOf scope(n);
    RegionScope region(n->region != 0 ? n->region : current_region());
    Mapped m;
    if (none) {
      // Rules join the batch with groups and rows, which must not be none.
      for (const Output& o : n->outputs()) {
        Shape shape = o.spec.shape;
        shape.insert(shape.begin(), 0);
        m.outputs.push_back(zeros(shape, o.spec.dtype));
        m.axes.push_back(0);
      }
    } else if (mapped) {
      m = n->op->vmap(x, in_axes);
    } else {
      m.outputs = record_all(n->op, x, n->stream);
      m.axes.assign(m.outputs.size(), kNotMapped);
    }
    for (uint32_t i = 0; i < n->num_outputs; ++i) {
      array y(&n->output(i));
      value.set(y, m.outputs[i]);
      axis[y.output()] = m.axes[i];
    }
  }
  Arrays result;
  out_axes->clear();
  for (const array& y : outputs) {
    result.push_back(value.has(y) ? value.get(y) : y);
    out_axes->push_back(axis_of(y));
  }
  return result;
}

Arrays replay(const Arrays& inputs,
              const Arrays& replacements,
              const Arrays& outputs,
              uint64_t first_seq) {
  std::vector<int> axes(inputs.size(), kNotMapped), out_axes;
  return batch(inputs, replacements, axes, outputs, first_seq, &out_axes);
}

Arrays captures_of(const Graph& body) {
  Arrays found;
  std::unordered_set<Output*> seen;
  for (const array& x : body.inputs) seen.insert(x.output());
  std::unordered_set<Node*> visited;
  nodes_behind(body.outputs, [&](const array& a) {
    Node* n = a.node();
    if (n->seq < body.first_seq || n->placeholder) {
      const bool number = n->scalar;
      if (!number && seen.insert(a.output()).second) found.push_back(a);
      return false;
    }
    return !seen.count(a.output()) && visited.insert(n).second;
  });
  std::sort(found.begin(), found.end(), [](const array& a, const array& b) {
    return a.node()->seq < b.node()->seq;
  });
  return found;
}

}  // namespace treadle
