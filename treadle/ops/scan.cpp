#include "treadle/ops/scan.h"

#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/behind.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/create.h"
#include "treadle/ops/random.h"
#include "treadle/ops/scan_gradient.h"
#include "treadle/ops/views.h"
#include "treadle/ops/walk.h"

namespace treadle {

namespace {

Spec step_of(const Spec& whole) {
  Spec s = whole;
  s.shape.erase(s.shape.begin());
  return s;
}

Spec stacked(const Spec& step, int64_t length) {
  Spec s = step;
  s.shape.insert(s.shape.begin(), length);
  return s;
}

// Element t of the first axis.
array element(const array& x, int64_t t) {
  Shape start(x.shape().size(), 0), stop = x.shape();
  start[0] = t;
  stop[0] = t + 1;
  return squeeze(slice(x, start, stop), 0);
}

// A key for bodies that compute the same: ops, numbers and topology.
Hash128 key_of(const Graph& body) {
  std::unordered_set<Node*> seen;
  const std::vector<Node*> nodes =
      nodes_behind(body.outputs, [&](const array& a) {
        Node* n = a.node();
        return !n->placeholder && n->seq >= body.first_seq &&
               seen.insert(n).second;
      });
  Hasher h;
  std::unordered_map<Output*, uint64_t> number;
  auto add_spec = [&](const Spec& s) {
    h.add(uint64_t(s.dtype));
    h.add(s.shape.size());
    for (int64_t d : s.shape) h.add(uint64_t(d));
  };
  auto add = [&](const array& a) {
    auto it = number.find(a.output());
    if (it != number.end()) return h.add(it->second);
    const Node* n = a.node();
    add_spec(a.spec());
    h.add(~uint64_t(0) - n->scalar);
    // A number counts by its value; of other arrays from outside, this one.
    uint64_t bits = 0;
    std::memcpy(&bits, n->inline_value, sizeof bits);
    h.add(n->scalar ? bits : uint64_t(reinterpret_cast<uintptr_t>(n)));
  };
  for (const array& x : body.inputs) {
    number.emplace(x.output(), number.size());
    add_spec(x.spec());
  }
  for (Node* n : nodes) {
    n->op->hash_structure(h);
    n->op->hash_sizes(h);
    h.add(n->num_inputs);
    for (const array& x : n->inputs()) add(x);
    for (Output& o : n->outputs()) {
      number.emplace(&o, number.size());
      add_spec(o.spec);
    }
  }
  for (const array& y : body.outputs) add(y);
  return h.result();
}

}  // namespace

void Scan::hash_structure(Hasher& h) const {
  h.add(op_name);
  h.add(num_carry);
  h.add(num_xs);
  h.add(num_residuals << 1 | uint64_t(reverse));
  h.add(body_key);
}

bool Scan::same_as(const Op& other) const {
  const Scan* o = as<Scan>(other);
  return o && o->body_key == body_key && o->num_carry == num_carry &&
         o->num_xs == num_xs && o->num_residuals == num_residuals &&
         o->reverse == reverse && o->length == length;
}

Specs Scan::infer(std::span<const Spec>) const {
  Specs out;
  for (size_t j = 0; j < body->outputs.size(); ++j) {
    const Spec& s = body->outputs[j].spec();
    out.push_back(j < num_carry ? s : stacked(s, length));
  }
  return out;
}

Arrays Scan::expand(const Arrays& x) const {
  const size_t steps = size_t(length);
  Arrays in = x;
  std::vector<Arrays> ys(body->outputs.size() - num_carry, Arrays(steps));
  for (size_t i = 0; i < steps; ++i) {
    const size_t t = reverse ? steps - 1 - i : i;
    for (size_t j = 0; j < num_xs; ++j) {
      in[num_carry + j] = element(x[num_carry + j], int64_t(t));
    }
    const Arrays out = replay(body->inputs, in, body->outputs, body->first_seq);
    for (size_t j = 0; j < num_carry; ++j) in[j] = out[j];
    for (size_t j = 0; j < ys.size(); ++j) ys[j][t] = out[num_carry + j];
  }
  Arrays result(in.begin(), in.begin() + long(num_carry));
  for (size_t j = 0; j < ys.size(); ++j) {
    const Spec& s = body->outputs[num_carry + j].spec();
    result.push_back(steps > 0 ? stack(ys[j], 0)
                               : zeros(stacked(s, 0).shape, s.dtype));
  }
  return result;
}

// Records a scan of a closed body. The residuals are the body's last outputs.
Arrays record_scan(Scan op, std::shared_ptr<Graph> body, Arrays inputs) {
  op.body_key = key_of(*body);
  op.body = std::move(body);
  return record_all(make_op(std::move(op)), std::move(inputs), resolve({}));
}

std::pair<Arrays, Arrays> scan(const ScanFn& f,
                               const Arrays& init,
                               const Arrays& xs,
                               const ScanOptions& options) {
  std::optional<int64_t> length = options.length;
  for (size_t i = 0; i < xs.size(); ++i) {
    if (xs[i].ndim() == 0) {
      invalid("scan",
              fmt::format("xs {} is {}; expected at least one axis.",
                          i,
                          to_string(xs[i].spec())));
    }
    const int64_t n = xs[i].shape(0);
    if (length && *length != n) {
      invalid("scan",
              fmt::format("xs {} has {} steps; expected {}.", i, n, *length));
    }
    length = n;
  }
  if (!length) invalid("scan", "without xs, expected a length.");
  if (*length < 0) {
    invalid("scan",
            fmt::format("the length is {}; expected 0 or more.", *length));
  }

  const bool differentiable = Trace::any_open();
  Scan op;
  op.num_xs = xs.size();
  op.reverse = options.reverse;
  op.length = *length;
  auto body = std::make_shared<Graph>();
  Arrays inputs = init, captures;
  bool draws = false;
  size_t num_ys = 0;
  {
    Trace trace("scan");
    body->first_seq = trace.first_seq();
    Arrays carry, x;
    for (const array& a : init) carry.push_back(trace.placeholder(a.spec()));
    const array key = trace.placeholder(random_state().spec());
    for (const array& a : xs) {
      x.push_back(trace.placeholder(step_of(a.spec())));
    }
    RandomStateScope random(key);
    ScanStep step = f(carry, x);
    if (step.carry.size() != init.size()) {
      invalid("scan",
              fmt::format("the step returned a carry of {} arrays; expected "
                          "{}.",
                          step.carry.size(),
                          init.size()));
    }
    for (size_t i = 0; i < init.size(); ++i) {
      if (step.carry[i].spec() != init[i].spec()) {
        invalid("scan",
                fmt::format("the step returned {} for carry {}; expected {}.",
                            to_string(step.carry[i].spec()),
                            i,
                            to_string(init[i].spec())));
      }
    }
    body->inputs = carry;
    body->outputs = std::move(step.carry);
    draws = !same_array(random_state(), key);
    if (draws) {
      body->inputs.push_back(key);
      body->outputs.push_back(random_state());
    }
    op.num_carry = body->inputs.size();
    body->inputs.insert(body->inputs.end(), x.begin(), x.end());
    num_ys = step.y.size();
    body->outputs.insert(body->outputs.end(), step.y.begin(), step.y.end());
    body->held = trace.held();
    // Captured arrays become inputs, so that gradients reach them.
    captures = captures_of(*body);
    Arrays from = body->inputs, to = body->inputs;
    for (const array& a : captures) {
      from.push_back(a);
      to.push_back(trace.placeholder(a.spec()));
    }
    body->outputs = replay(from, to, body->outputs, body->first_seq);
    body->inputs = std::move(to);
    if (differentiable) {
      op.gradient = make_scan_gradient(*body, op.num_carry, op.num_xs);
      op.num_residuals = op.gradient->residuals.size();
      body->inputs = op.gradient->forward_inputs;
      body->outputs = op.gradient->forward_outputs;
    } else {
      in_row_order(*body);
    }
  }
  auto record = [&](const array& random_key) {
    if (draws) inputs.push_back(random_key);
    inputs.insert(inputs.end(), xs.begin(), xs.end());
    inputs.insert(inputs.end(), captures.begin(), captures.end());
    return record_scan(std::move(op), std::move(body), std::move(inputs));
  };
  Arrays out;
  if (draws) {
    update_random_state([&](const array& random_key) {
      out = record(random_key);
      array next = out[init.size()];
      out.erase(out.begin() + long(init.size()));
      return next;
    });
  } else {
    out = record({});
  }
  const auto ys = out.begin() + long(init.size());
  return {Arrays(out.begin(), ys), Arrays(ys, ys + long(num_ys))};
}

}  // namespace treadle
