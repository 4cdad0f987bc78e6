#include "treadle/nn/modules/flops.h"

#include <unordered_set>
#include <vector>

#include "treadle/graph/graph.h"
#include "treadle/graph/node.h"
#include "treadle/ops/attention.h"
#include "treadle/ops/conv.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/scan.h"

namespace treadle::nn {

namespace {

double count(const Shape& s) { return double(size_of(s)); }

double cost_of(Node& node) {
  const Op& op = *node.op;
  auto in = [&](size_t i) -> const Shape& { return node.inputs()[i].shape(); };
  const Shape& out = node.output(0).spec.shape;
  if (as<Matmul>(op)) return 2 * count(out) * double(in(0).back());
  if (as<Conv>(op)) {
    // Each result is a sum over a kernel's window and its channels.
    const Shape& w = in(1);
    return 2 * count(out) * count(w) / double(w[0]);
  }
  if (as<Attention>(op)) {
    const Shape &q = in(0), &k = in(1);
    const double pairs = count(q) / double(q.back()) * double(k[k.size() - 2]);
    return 2 * pairs * double(q.back() + in(2).back());
  }
  if (const Graph* body = op.graph()) {
    const double once = flops(body->outputs, body->first_seq);
    const Scan* scan = as<Scan>(op);
    return scan ? once * double(scan->length) : once;
  }
  return 0;
}

}  // namespace

double flops(const Arrays& results, uint64_t since) {
  double sum = 0;
  std::unordered_set<const Node*> seen;
  std::vector<Node*> stack;
  auto visit = [&](const array& a) {
    Node* n = a.node();
    if (n->placeholder || !n->op || n->seq < since || !seen.insert(n).second) {
      return;
    }
    stack.push_back(n);
  };
  for (const array& a : results) visit(a);
  while (!stack.empty()) {
    Node* n = stack.back();
    stack.pop_back();
    sum += cost_of(*n);
    for (const array& x : n->inputs()) visit(x);
  }
  return sum;
}

}  // namespace treadle::nn
