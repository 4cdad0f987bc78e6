#include "treadle/graph/dot.h"

#include <ostream>
#include <unordered_map>
#include <unordered_set>

#include "treadle/base/error.h"
#include "treadle/graph/behind.h"

namespace treadle {

namespace {

// A, B, ... Z, AA, AB, ...
std::string letters(size_t i) {
  std::string s;
  for (++i; i > 0; i = (i - 1) / 26)
    s.insert(s.begin(), char('A' + (i - 1) % 26));
  return s;
}

std::string quoted(const std::string& text) {
  std::string s = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') s += '\\';
    s += c == '\n' ? ' ' : c;
  }
  return s + '"';
}

class Names {
 public:
  explicit Names(const std::vector<std::pair<array, std::string>>& given) {
    for (const auto& [a, name] : given) {
      names_.emplace(a.output(), name);
      taken_.insert(name);
    }
  }
  const std::string& of(Output* o) {
    auto it = names_.find(o);
    if (it != names_.end()) return it->second;
    std::string name;
    do name = letters(next_++);
    while (taken_.count(name));
    return names_.emplace(o, name).first->second;
  }

 private:
  std::unordered_map<Output*, std::string> names_;
  std::unordered_set<std::string> taken_;
  size_t next_ = 0;
};

std::vector<Node*> pending_nodes(const Arrays& outputs) {
  std::unordered_set<Node*> seen;
  return nodes_behind(outputs, [&](const array& a) {
    Node* n = a.node();
    return n->op && !n->evaluated() && seen.insert(n).second;
  });
}

}  // namespace

void export_to_dot(std::ostream& out,
                   const Arrays& outputs,
                   const std::vector<std::pair<array, std::string>>& names) {
  Names name(names);
  std::unordered_set<Output*> sinks, sources;
  for (const array& a : outputs) {
    if (a.null()) invalid("export_to_dot", "an output is the null array.");
    sinks.insert(a.output());
  }
  const std::vector<Node*> nodes = pending_nodes(outputs);
  auto declare = [&](Output* o, const char* rank) {
    out << "{ " << (*rank ? "rank=" : "") << rank << (*rank ? "; " : "")
        << quoted(name.of(o)) << " [tooltip=" << quoted(to_string(o->spec))
        << "]; }\n";
  };
  out << "digraph {\n";
  for (const array& a : outputs) {
    if ((!a.node()->op || a.node()->evaluated()) &&
        sources.insert(a.output()).second) {
      declare(a.output(), "sink");
    }
  }
  for (Node* n : nodes) {
    for (const array& x : n->inputs()) {
      const bool leaf = !x.node()->op || x.node()->evaluated();
      if (leaf && sources.insert(x.output()).second) {
        declare(x.output(), "source");
      }
    }
    out << "{ " << n->seq << " [label=" << quoted(std::string(n->op->name()))
        << ", shape=rectangle, tooltip=" << quoted(n->op->describe())
        << "]; }\n";
    for (const array& x : n->inputs()) {
      out << quoted(name.of(x.output())) << " -> " << n->seq << '\n';
    }
    for (Output& o : n->outputs()) {
      declare(&o, sinks.count(&o) ? "sink" : "");
      out << n->seq << " -> " << quoted(name.of(&o)) << '\n';
    }
  }
  out << "}\n";
}

}  // namespace treadle
