// Traces: while a transform runs the user's function, nodes are marked so that
// their history stays readable and their placeholders can be told from values.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

// Shared with the placeholders of a trace, which may outlive it.
struct TraceInfo {
  std::string name;  // "vmap", "compile(step)"
  mutable std::atomic<bool> open{true};
};

// Open from construction to destruction, on the constructing thread; traces
// nest. Nodes recorded meanwhile keep op and inputs when they are evaluated, so
// that a reverse walk can pass them; closing the trace drops what they kept.
class Trace {
 public:
  explicit Trace(std::string name);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  // Nodes with this number or a later one were recorded inside.
  uint64_t first_seq() const { return first_seq_; }

  // An array without value, standing for an argument of this trace.
  array placeholder(const Spec& spec) const;

  static bool any_open();
  // The node was recorded in a trace that is still open on this thread: its op
  // and inputs must stay.
  static bool keeps(const Node& node);
  // Called for a node of an open trace that has been evaluated.
  static void keep(const array& evaluated);
  // Keeps something alive as long as a trace is open that could walk over what
  // is being recorded: the rules of a custom function. An op that needs it
  // refers to it weakly, so that no node ever owns a callable.
  static void hold(std::shared_ptr<const void> rules);
  const std::vector<std::shared_ptr<const void>>& held() const { return held_; }

 private:
  std::shared_ptr<TraceInfo> info_;
  uint64_t first_seq_;
  Trace* outer_;
  Arrays evaluated_;
  std::vector<std::shared_ptr<const void>> held_;
};

// While it lives, the placeholders of an ended trace may be recorded on again:
// for the runtime, when it expands the body of a traced function.
class ReopenedTrace {
 public:
  explicit ReopenedTrace(const Arrays& placeholders);
  ~ReopenedTrace();
  ReopenedTrace(const ReopenedTrace&) = delete;
  ReopenedTrace& operator=(const ReopenedTrace&) = delete;

 private:
  std::shared_ptr<const TraceInfo> info_;
};

// A value was asked for where there is none.
class NoValue : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// Throws NoValue: the value of a placeholder was asked for, or it was used
// after its trace had ended.
[[noreturn]] void placeholder_error(std::string_view op, const Node& node);

}  // namespace treadle
