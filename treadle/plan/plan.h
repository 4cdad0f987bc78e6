// Plan: what will run, for all programs of one structure. Lengths are filled in
// by runtime/instance.h, addresses by runtime/run.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "treadle/graph/op.h"
#include "treadle/plan/program.h"
#include "treadle/plan/tape.h"

namespace treadle::plan {

// Where the elements of a value are.
enum class Place : uint8_t {
  leaf,    // in an evaluated array
  memory,  // written by a step
  view,    // in another value's memory, under another layout
  none,    // nowhere: fused away, or merged with an equal value
};

struct PlanValue {
  Place place = Place::none;
  bool wanted = false;     // an array outside holds it
  bool owned = false;      // memory: needs a buffer of its own, not arena space
  bool contiguous = true;  // row-contiguous, whatever the sizes
  uint32_t same_as = 0;    // the equal value that stands for it (often itself)
  uint32_t base = 0;       // view: of which value
  uint32_t spec = 0;       // the program's value whose shape and dtype it has
  int32_t node = -1;       // not a leaf: the program's node that makes it
  uint32_t last_use = 0;   // memory: the last step that reads it
};

struct PlanStep {
  enum class Kind : uint8_t { op, fused, copy };
  Kind kind;
  int32_t node = -1;              // op: of the program
  OpPtr fused;                    // fused: the Fused op
  uint32_t space = 0;             // fused: the value whose shape is the space
  std::vector<uint32_t> in, out;  // values
  // Output first may take the memory of input second, if that dies here; in the
  // order in which outputs choose, each what it had better take first.
  std::vector<std::pair<uint32_t, uint32_t>> in_place;
  std::vector<uint32_t> members;  // fused: the program's nodes, for printing
  // fused: the step before makes `in[product]`, and its kernel may do this
  // step's work as well, row by row. `passing`: nobody else reads that value.
  bool follows = false, passing = false;
  uint32_t product = 0;
};

struct Plan {
  std::vector<PlanValue> values;  // the program's, then the plan's own copies
  std::vector<PlanStep> steps;    // in the order of execution

  const PlanValue& value(uint32_t v) const { return values[values[v].same_as]; }
};

// The passes: merge equal nodes, resolve views, fuse, order. Throws
// std::logic_error only when the planner itself is wrong.
std::shared_ptr<const Plan> build(const Program& program);

// Checks that every value is written once before it is read and not read after
// its last use. Throws std::logic_error. Debug builds call it after building.
void verify(const Plan& plan, const Program& program);

// A listing, one step a line, with the reason why neighbours were not fused.
std::string to_string(const Plan& plan, const Program& program);
// The same as a graph for graphviz.
std::string to_dot(const Plan& plan, const Program& program);

}  // namespace treadle::plan
