#include "treadle/graph/trace.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/node.h"
#include "treadle/graph/record.h"

namespace treadle {

namespace {
thread_local Trace* innermost = nullptr;
}  // namespace

Trace::Trace(std::string name)
    : info_(std::make_shared<TraceInfo>()),
      first_seq_(next_seq()),
      outer_(innermost) {
  info_->name = std::move(name);
  innermost = this;
}

Trace::~Trace() {
  innermost = outer_;
  info_->open = false;
  for (array& a : evaluated_) {
    if (outer_ && a.node()->seq >= outer_->first_seq_) {
      outer_->evaluated_.push_back(std::move(a));
    } else {
      a.node()->detach();
    }
  }
  if (outer_) {
    outer_->held_.insert(outer_->held_.end(), held_.begin(), held_.end());
  }
}

void Trace::hold(std::shared_ptr<const void> rules) {
  if (innermost) innermost->held_.push_back(std::move(rules));
}

bool Trace::any_open() { return innermost != nullptr; }

bool Trace::keeps(const Node& node) {
  if (!node.in_trace || !innermost) return false;
  const Trace* outermost = innermost;
  while (outermost->outer_) outermost = outermost->outer_;
  return node.seq >= outermost->first_seq_;
}

void Trace::keep(const array& evaluated) {
  if (innermost) {
    innermost->evaluated_.push_back(evaluated);
  } else {
    evaluated.node()->detach();
  }
}

array Trace::placeholder(const Spec& spec) const {
  Node* n = Node::create(1, 0);
  n->placeholder = true;
  n->in_trace = true;
  n->trace = info_;
  n->stream = default_stream(default_device());
  Output& o = n->output(0);
  o.spec = spec;
  array a(&o);
  n->seq = take_seq();
  return a;
}

ReopenedTrace::ReopenedTrace(const Arrays& placeholders) {
  if (placeholders.empty()) return;
  info_ = placeholders[0].node()->trace;
  info_->open = true;
}

ReopenedTrace::~ReopenedTrace() {
  if (info_) info_->open = false;
}

void placeholder_error(std::string_view op, const Node& node) {
  const char* text =
      node.trace->open
          ? "asked for the value of an array while {} traces the function: it "
            "stands for an argument and has a shape and a dtype, but no value. "
            "Keep the computation in arrays (where, not if), or compute the "
            "value outside."
          : "an array of the ended trace of {} was used: it stood for an "
            "argument and never had a value. Return it from the function "
            "instead of storing it.";
  try {
    invalid(op, fmt::format(fmt::runtime(text), node.trace->name));
  } catch (const std::invalid_argument& e) {
    throw NoValue(e.what());
  }
}

}  // namespace treadle
