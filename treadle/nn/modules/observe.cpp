#include "treadle/nn/modules/observe.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>

#include "treadle/graph/behind.h"
#include "treadle/graph/graph.h"
#include "treadle/graph/record.h"
#include "treadle/ops/attention.h"
#include "treadle/ops/conv.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/numbers.h"
#include "treadle/ops/reduce.h"
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

// The nodes behind results that are numbered from `since` on and not computed
// yet, in program order.
std::vector<Node*> pending_behind(const Arrays& results, uint64_t since) {
  std::unordered_set<const Node*> seen;
  return nodes_behind(results, [&](const array& a) {
    Node* n = a.node();
    return !n->placeholder && n->op && n->seq >= since && seen.insert(n).second;
  });
}

// 1234567 as "1.23 M".
std::string amount(double n) {
  std::string_view units = " kMGT";
  while (n >= 1000 && units.size() > 1) {
    n /= 1000;
    units.remove_prefix(1);
  }
  return units[0] == ' ' ? fmt::format("{:.3g} ", n)
                         : fmt::format("{:.3g} {}", n, units[0]);
}

// Each once: those of a shared module are listed wherever it is held.
std::vector<array*> different(std::vector<array*> slots) {
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  return slots;
}

int64_t elements(const std::vector<array*>& slots) {
  int64_t sum = 0;
  for (const array* a : slots) sum += a->size();
  return sum;
}

struct Line {
  std::string name, type, output;
  int64_t parameters = 0;
  double flops = 0;
};

std::string table_of(const std::vector<Line>& lines) {
  size_t name = 6, type = 4, output = 6;
  for (const Line& l : lines) {
    name = std::max(name, l.name.size());
    type = std::max(type, l.type.size());
    output = std::max(output, l.output.size());
  }
  auto line = [&](std::string_view n,
                  std::string_view t,
                  std::string_view o,
                  const std::string& p,
                  const std::string& f) {
    return fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>8}\n",
                       n,
                       name,
                       t,
                       type,
                       o,
                       output,
                       p,
                       f);
  };
  std::string text = line("module", "type", "output", "parameters", "flops");
  text += std::string(text.size() - 1, '-') + "\n";
  for (const Line& l : lines) {
    text += line(l.name,
                 l.type,
                 l.output,
                 std::to_string(l.parameters),
                 amount(l.flops));
  }
  return text;
}

void add_lines(Module& m,
               const std::string& path,
               const std::map<std::string, Line>& recorded,
               std::vector<Line>& lines) {
  Line line;
  const auto found = recorded.find(*m.label());
  if (found != recorded.end()) line = found->second;
  line.name = path.empty() ? "(model)" : path;
  line.type = m.type_name();
  line.parameters = elements(different(m.slots()));
  lines.push_back(line);
  for (auto& [key, child] : m.named_children()) {
    add_lines(*child,
              path.empty() ? key : fmt::format("{}.{}", path, key),
              recorded,
              lines);
  }
}

}  // namespace

double flops(const Arrays& results, uint64_t since) {
  double sum = 0;
  for (Node* n : pending_behind(results, since)) sum += cost_of(*n);
  return sum;
}

std::string summary(Module& model, const std::function<Arrays()>& call) {
  model.remember_paths();
  const uint64_t since = next_seq();
  const Arrays results = call();
  std::map<std::string, Line> recorded;  // by label
  double total = 0;
  for (Node* n : pending_behind(results, since)) {
    const double cost = cost_of(*n);
    total += cost;
    if (!n->module_path) continue;
    Line& line = recorded[*n->module_path];
    line.flops += cost;
    line.output = to_string(n->output(0).spec.shape);
  }
  std::vector<Line> lines;
  add_lines(model, "", recorded, lines);
  if (lines[0].output.empty() && !results.empty()) {
    lines[0].output = to_string(results[0].shape());
  }
  const std::vector<array*> slots = different(model.slots());
  size_t bytes = 0;
  for (const array* a : slots) bytes += size_t(a->size()) * size_of(a->dtype());
  return table_of(lines) +
         fmt::format("{} parameters ({} trainable), {}B; {}FLOP in a call\n",
                     elements(slots),
                     elements(model.trainable_slots()),
                     amount(double(bytes)),
                     amount(total));
}

void check_finite(const Arrays& results) {
  // Held, so that what has been computed keeps its value.
  std::vector<std::pair<Node*, Arrays>> nodes;
  for (Node* n : pending_behind(results, 0)) {
    nodes.emplace_back(n, n->output_arrays());
  }
  for (const auto& [n, outputs] : nodes) {
    // Computing it, the node forgets its op.
    const std::string what =
        fmt::format("{}[{}]",
                    n->module_path ? *n->module_path + ": " : "",
                    n->op ? n->op->name() : "array");
    for (const array& y : outputs) {
      if (!is_inexact(y.dtype())) continue;
      const array finite = all(isfinite(y));
      if (finite.item<bool>()) continue;
      throw std::runtime_error(
          fmt::format("{} the result {} has a number that is not finite.",
                      what,
                      to_string(y.spec())));
    }
  }
}

}  // namespace treadle::nn
