// The walk from arrays back to what they were computed from.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "treadle/graph/array.h"
#include "treadle/graph/node.h"

namespace treadle {

// The nodes of `outputs` and behind them, in the order they were recorded.
// `enter` is asked of each array that is met, again and again if many read it,
// and must say true for at most one array of a node: go to its node, and on to
// what that reads.
template <class Enter>
std::vector<Node*> nodes_behind(std::span<const array> outputs, Enter enter) {
  std::vector<Node*> nodes;
  auto visit = [&](const array& a) {
    if (!a.null() && enter(a)) nodes.push_back(a.node());
  };
  for (const array& y : outputs) visit(y);
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const array& x : nodes[i]->inputs()) visit(x);
  }
  std::sort(nodes.begin(), nodes.end(), [](const Node* a, const Node* b) {
    return a->seq < b->seq;
  });
  return nodes;
}

}  // namespace treadle
