#include "treadle/ops/scan_gradient.h"

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "treadle/graph/behind.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"
#include "treadle/ops/walk.h"

namespace treadle {

namespace {

bool has_gradient(const array& a) { return is_inexact(a.dtype()); }

array zeros_of(const Spec& s) { return zeros(s.shape, s.dtype); }

void append(Arrays& to, const Arrays& more) {
  to.insert(to.end(), more.begin(), more.end());
}

// Arrays at some places of a list.
Arrays at_places(const Arrays& of, const std::vector<size_t>& places) {
  Arrays out;
  for (size_t i : places) out.push_back(of[i]);
  return out;
}

// Finds what the backward part reads of the forward part. Views and what
// depends on captures alone are computed again.
class Residuals {
 public:
  Residuals(const Arrays& varying, uint64_t first_seq, uint64_t forward_end)
      : first_seq_(first_seq), forward_end_(forward_end) {
    for (const array& a : varying) varying_.insert(a.node());
  }

  Arrays of(const Arrays& gradients) {
    std::unordered_set<Node*> seen;
    nodes_behind(gradients, [&](const array& a) {
      Node* n = a.node();
      // A placeholder that is read is kept too, if it varies.
      if (n->placeholder) {
        keep(a);
        return false;
      }
      if (n->seq >= forward_end_) return seen.insert(n).second;
      if (n->seq >= first_seq_) keep(a);
      return false;
    });
    return kept_;
  }

 private:
  void keep(array a) {
    while (!a.node()->placeholder && a.node()->seq >= first_seq_ &&
           a.node()->op->kind() == OpKind::view) {
      a = array(a.node()->inputs()[0]);
    }
    if (!varies(a.node())) return;
    if (kept_outputs_.insert(a.output()).second) kept_.push_back(a);
  }

  // Whether it differs from step to step.
  bool varies(Node* n) {
    if (varying_.count(n)) return true;
    if (n->placeholder || n->seq < first_seq_ || same_.count(n)) return false;
    for (const array& x : n->inputs()) {
      if (varies(x.node())) {
        varying_.insert(n);
        return true;
      }
    }
    same_.insert(n);
    return false;
  }

  const uint64_t first_seq_, forward_end_;
  std::unordered_set<Node*> varying_, same_;
  std::unordered_set<Output*> kept_outputs_;
  Arrays kept_;
};

// Where a list has an array, which is appended when it does not.
size_t place_of(const array& a, Arrays* list) {
  for (size_t i = 0; i < list->size(); ++i) {
    if (same_array((*list)[i], a)) return i;
  }
  list->push_back(a);
  return list->size() - 1;
}

// A gradient as a sum over time that can be taken after the loop: its factors
// in one step, or nothing.
struct Factors {
  array left, right;
  bool product = false;
  std::vector<int> axes;
};

// x^T; of what is x^T itself, x.
array transposed(const array& x) {
  Node* n = x.node();
  const Transpose* t = n->op ? as<Transpose>(*n->op) : nullptr;
  return t && x.ndim() == 2 ? array(n->inputs()[0]) : transpose(x);
}

std::optional<Factors> factors_of(const array& g) {
  Node* n = g.node();
  if (!n->op || n->placeholder) return {};
  if (const Transpose* t = as<Transpose>(*n->op)) {
    (void)t;
    if (g.ndim() != 2) return {};
    auto inner = factors_of(n->inputs()[0]);
    if (!inner || !inner->product) return {};
    std::swap(inner->left, inner->right);  // (A^T B)^T
    return inner;
  }
  if (as<Matmul>(*n->op)) {
    const array a = n->inputs()[0], b = n->inputs()[1];
    if (a.ndim() != 2 || b.ndim() != 2) return {};
    // left^T right: the rows of both are what is summed over.
    return Factors{transposed(a), b, true, {}};
  }
  if (const Reduce* r = as<Reduce>(*n->op)) {
    if (r->reduce != ReduceKind::sum) return {};
    Factors f;
    f.right = n->inputs()[0];
    f.axes.assign(r->axes.begin(), r->axes.end());
    return f;
  }
  return {};
}

}  // namespace

void in_row_order(Graph& body) {
  for (array& y : body.outputs) y = record(Contiguous{}, {y}, resolve({}));
}

std::shared_ptr<const ScanGradient> make_scan_gradient(const Graph& body,
                                                       size_t num_carry,
                                                       size_t num_xs) {
  auto made = std::make_shared<ScanGradient>();
  Trace trace("scan");
  auto placeholders = [&](const Arrays& like) {
    Arrays out;
    for (const array& a : like) out.push_back(trace.placeholder(a.spec()));
    return out;
  };
  const Arrays in = placeholders(body.inputs);
  const Arrays out = replay(body.inputs, in, body.outputs, body.first_seq);
  Arrays cotangents(out.size()), carry_ct, y_ct;
  for (size_t j = 0; j < out.size(); ++j) {
    if (!has_gradient(out[j])) continue;
    cotangents[j] = trace.placeholder(out[j].spec());
    if (j < num_carry) {
      made->carry.push_back(j);
      carry_ct.push_back(cotangents[j]);
    } else {
      made->ys.push_back(j - num_carry);
      y_ct.push_back(cotangents[j]);
    }
  }
  const uint64_t forward_end = next_seq();
  std::vector<size_t> wanted;
  for (size_t i = 0; i < in.size(); ++i) {
    if (has_gradient(in[i])) wanted.push_back(i);
  }
  const Arrays found =
      pullback(out, cotangents, at_places(in, wanted), trace.first_seq());
  Arrays gradient(in.size());
  for (size_t k = 0; k < wanted.size(); ++k) gradient[wanted[k]] = found[k];

  const size_t num_varying = num_carry + num_xs;
  const Arrays varying(in.begin(), in.begin() + long(num_varying)),
      xs(in.begin() + long(num_carry), in.begin() + long(num_varying)),
      captures(in.begin() + long(num_varying), in.end());
  Residuals search(varying, trace.first_seq(), forward_end);
  for (const array& a : search.of(found)) {
    // The backward scan gets the xs themselves.
    const bool is_x = std::any_of(
        xs.begin(), xs.end(), [&](const array& x) { return same_array(x, a); });
    if (!is_x) made->residuals.push_back(a);
  }
  made->forward_inputs = in;
  made->forward_outputs = out;
  append(made->forward_outputs, made->residuals);
  for (array& y : made->forward_outputs)
    y = record(Contiguous{}, {y}, resolve({}));

  // The backward part, on placeholders of its own.
  auto backward = std::make_shared<Graph>();
  backward->first_seq = trace.first_seq();
  Arrays from = carry_ct;
  append(from, y_ct);
  append(from, made->residuals);
  append(from, xs);
  append(from, captures);
  const Arrays to = placeholders(from);
  Arrays wanted_found;
  std::vector<size_t> place;  // of each input's gradient in what was found
  for (size_t i = 0; i < in.size(); ++i) {
    if (gradient[i].null()) continue;
    place.push_back(i);
    wanted_found.push_back(gradient[i]);
  }
  const Arrays replayed = replay(from, to, wanted_found, trace.first_seq());
  for (size_t k = 0; k < place.size(); ++k) gradient[place[k]] = replayed[k];

  Arrays carry_out, sums_in, sums_out, ys_out;
  for (size_t j : made->carry) {
    carry_out.push_back(gradient[j].null() ? zeros_of(in[j].spec())
                                           : gradient[j]);
  }
  for (size_t i = 0; i < num_xs; ++i) {
    if (gradient[num_carry + i].null()) continue;
    made->xs.push_back(i);
    ys_out.push_back(gradient[num_carry + i]);
  }
  for (size_t i = 0; i < captures.size(); ++i) {
    const array& g = gradient[num_varying + i];
    if (g.null()) continue;
    if (auto f = factors_of(g)) {
      HoistedSum sum;
      sum.capture = i;
      sum.product = f->product;
      sum.axes = f->axes;
      if (f->product) sum.left = place_of(f->left, &ys_out);
      sum.right = place_of(f->right, &ys_out);
      made->hoisted.push_back(std::move(sum));
    } else {
      made->summed.push_back(i);
      sums_in.push_back(trace.placeholder(g.spec()));
      sums_out.push_back(sums_in.back() + g);
    }
  }
  const long num_ct = long(carry_ct.size());
  backward->inputs.assign(to.begin(), to.begin() + num_ct);
  append(backward->inputs, sums_in);
  backward->inputs.insert(
      backward->inputs.end(), to.begin() + num_ct, to.end());
  backward->outputs = carry_out;
  append(backward->outputs, sums_out);
  append(backward->outputs, ys_out);
  in_row_order(*backward);
  made->backward = std::move(backward);
  return made;
}

Arrays Scan::vjp(const Arrays& x,
                 const Arrays& y,
                 const Arrays& ct,
                 Argnums args) const {
  const size_t num_outputs = y.size(), kept_from = num_outputs - num_residuals;
  bool residual_ct = false;
  for (size_t j = kept_from; j < num_outputs; ++j) {
    residual_ct = residual_ct || !ct[j].null();
  }
  auto g = gradient;
  Arrays kept(y.begin() + long(kept_from), y.end());
  if (!g || residual_ct) {
    // Recorded without a trace, or differentiated again: run once more, keeping
    // what this derivative needs.
    g = make_scan_gradient(*body, num_carry, num_xs);
    auto forward = std::make_shared<Graph>();
    forward->inputs = g->forward_inputs;
    forward->outputs = g->forward_outputs;
    forward->first_seq = g->backward->first_seq;
    Scan op = *this;
    op.gradient = nullptr;
    op.num_residuals = g->residuals.size();
    const Arrays again = record_scan(std::move(op), std::move(forward), x);
    kept.assign(again.end() - long(g->residuals.size()), again.end());
  }
  auto cotangent = [&](size_t j) {
    return ct[j].null() ? zeros_of(y[j].spec()) : ct[j];
  };
  const size_t num_varying = num_carry + num_xs;
  Arrays in;
  for (size_t j : g->carry) in.push_back(cotangent(j));
  for (size_t i : g->summed) in.push_back(zeros_of(x[num_varying + i].spec()));
  Scan op;
  op.num_carry = in.size();
  for (size_t j : g->ys) in.push_back(cotangent(num_carry + j));
  append(in, kept);
  in.insert(
      in.end(), x.begin() + long(num_carry), x.begin() + long(num_varying));
  op.num_xs = in.size() - op.num_carry;
  in.insert(in.end(), x.begin() + long(num_varying), x.end());
  op.reverse = !reverse;
  op.length = length;
  const size_t num_sums = g->summed.size(), first_y = op.num_carry;
  const Arrays out = record_scan(std::move(op), g->backward, std::move(in));

  Arrays gradients(x.size());
  for (size_t k = 0; k < g->carry.size(); ++k) gradients[g->carry[k]] = out[k];
  for (size_t k = 0; k < num_sums; ++k) {
    gradients[num_varying + g->summed[k]] = out[g->carry.size() + k];
  }
  for (size_t k = 0; k < g->xs.size(); ++k) {
    gradients[num_carry + g->xs[k]] = out[first_y + k];
  }
  for (const HoistedSum& sum : g->hoisted) {
    const array& right = out[first_y + sum.right];
    array total;
    if (sum.product) {
      // (length, N, K) and (length, N, M): all steps' rows in one product.
      auto rows = [](const array& a) { return flatten(a, 0, 1); };
      total = matmul(transpose(rows(out[first_y + sum.left])), rows(right));
    } else {
      Axes axes{0};
      for (int a : sum.axes) axes.push_back(a + 1);
      total = treadle::sum(right, axes, false);
    }
    const array& capture = x[num_varying + sum.capture];
    gradients[num_varying + sum.capture] =
        total.shape() == capture.shape() ? total
                                         : reshape(total, capture.shape());
  }
  Arrays result;
  for (int a : args) result.push_back(gradients[size_t(a)]);
  return result;
}

Arrays Scan::jvp(const Arrays& x,
                 const Arrays&,
                 const Arrays& t,
                 Argnums args) const {
  Trace trace("scan");
  Arrays in, tangent(x.size());
  for (const array& a : body->inputs) in.push_back(trace.placeholder(a.spec()));
  Arrays given(x.size());
  for (size_t i = 0; i < args.size(); ++i) given[size_t(args[i])] = t[i];
  // Any carry may get a tangent on the way.
  for (size_t i = 0; i < in.size(); ++i) {
    if (i < num_carry ? has_gradient(in[i]) : !given[i].null()) {
      tangent[i] = trace.placeholder(in[i].spec());
    }
  }
  const Arrays y = replay(body->inputs, in, body->outputs, body->first_seq);
  Arrays with_t, ts;
  for (size_t i = 0; i < in.size(); ++i) {
    if (tangent[i].null()) continue;
    with_t.push_back(in[i]);
    ts.push_back(tangent[i]);
  }
  const Arrays dy = pushforward(with_t, ts, y, trace.first_seq());

  auto graph = std::make_shared<Graph>();
  graph->first_seq = trace.first_seq();
  Scan op;
  op.reverse = reverse;
  op.length = length;
  Arrays inputs;
  std::vector<size_t> output_of(y.size(), 0);  // where each tangent ends up
  auto add_inputs = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      graph->inputs.push_back(in[i]);
      inputs.push_back(x[i]);
    }
    for (size_t i = begin; i < end; ++i) {
      if (tangent[i].null()) continue;
      graph->inputs.push_back(tangent[i]);
      inputs.push_back(given[i].null() ? zeros_of(x[i].spec()) : given[i]);
    }
  };
  auto add_outputs = [&](size_t begin, size_t end, bool carry) {
    for (size_t j = begin; j < end; ++j) graph->outputs.push_back(y[j]);
    for (size_t j = begin; j < end; ++j) {
      if (carry ? tangent[j].null() : dy[j].null()) continue;
      output_of[j] = graph->outputs.size();
      graph->outputs.push_back(dy[j].null() ? zeros_of(y[j].spec()) : dy[j]);
    }
  };
  const size_t num_varying = num_carry + num_xs;
  add_inputs(0, num_carry);
  op.num_carry = inputs.size();
  add_inputs(num_carry, num_varying);
  op.num_xs = inputs.size() - op.num_carry;
  add_inputs(num_varying, x.size());
  add_outputs(0, num_carry, true);
  add_outputs(num_carry, y.size(), false);
  in_row_order(*graph);
  const Arrays out = record_scan(std::move(op), std::move(graph), inputs);
  Arrays result(y.size());
  for (size_t j = 0; j < y.size(); ++j) {
    if (output_of[j] > 0) result[j] = out[output_of[j]];
  }
  return result;
}

Mapped Scan::vmap(const Arrays& x, std::span<const int> axes) const {
  int64_t batch_size = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    if (axes[i] != kNotMapped) batch_size = x[i].shape(axes[i]);
  }
  Trace trace("scan");
  auto graph = std::make_shared<Graph>();
  graph->first_seq = trace.first_seq();
  Arrays in;
  std::vector<int> in_axes;
  const size_t num_varying = num_carry + num_xs;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool carry = i < num_carry, step = !carry && i < num_varying;
    Spec spec = body->inputs[i].spec();
    array a = x[i];
    int axis = kNotMapped;
    if (axes[i] != kNotMapped || carry) {
      axis = 0;
      spec.shape.insert(spec.shape.begin(), batch_size);
      // Time stays in front.
      const int to = step ? 1 : 0;
      a = axes[i] != kNotMapped ? moveaxis(a, axes[i], to)
                                : broadcast_to(expand_dims(a, 0), spec.shape);
    }
    in.push_back(a);
    in_axes.push_back(axis);
    graph->inputs.push_back(trace.placeholder(spec));
  }
  std::vector<int> out_axes;
  graph->outputs = batch(body->inputs,
                         graph->inputs,
                         in_axes,
                         body->outputs,
                         body->first_seq,
                         &out_axes);
  Mapped m;
  for (size_t j = 0; j < graph->outputs.size(); ++j) {
    array& y = graph->outputs[j];
    const bool carry = j < num_carry;
    if (out_axes[j] > 0) {
      y = moveaxis(y, out_axes[j], 0);
    } else if (out_axes[j] == kNotMapped && carry) {
      Spec spec = y.spec();
      spec.shape.insert(spec.shape.begin(), batch_size);
      y = broadcast_to(expand_dims(y, 0), spec.shape);
      out_axes[j] = 0;
    }
    y = record(Contiguous{}, {y}, resolve({}));
    m.axes.push_back(out_axes[j] == kNotMapped ? kNotMapped : carry ? 0 : 1);
  }
  Scan op = *this;
  op.gradient = nullptr;
  op.num_residuals = 0;
  m.outputs = record_scan(std::move(op), std::move(graph), std::move(in));
  return m;
}

}  // namespace treadle
