// A traced function as a list of operations: what a file of functions holds.
// Values are numbered: arguments, constants, numbers, then the outputs of the
// operations in order, so that each reads only what comes before it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/io/file.h"

namespace treadle {

struct SavedLoop;
struct SavedCall;

// One of the three is not null.
struct SavedNode {
  OpPtr op;
  std::shared_ptr<const SavedLoop> loop;
  std::shared_ptr<const SavedCall> call;
  std::vector<uint32_t> in;
  uint32_t outputs = 1;
};

struct SavedGraph {
  Specs inputs;
  Arrays constants;  // evaluated
  Arrays numbers;    // of shape (), held by their nodes
  std::vector<SavedNode> nodes;
  std::vector<uint32_t> outputs;

  size_t first_node_value() const {
    return inputs.size() + constants.size() + numbers.size();
  }
};

// A scan: inputs are the carry, a step of the xs, captures; outputs the carry
// and the ys.
struct SavedLoop {
  SavedGraph body;
  uint64_t num_carry = 0, num_xs = 0;
  bool reverse = false;
  int64_t length = 0;  // for loops without xs
};

// A function whose derivative is not that of what it records: a checkpoint, or
// a custom function with its rules as graphs. The node's inputs are the
// arguments, then captures, which all of the graphs have as their last inputs.
struct SavedCall {
  bool checkpoint = false;
  uint64_t num_arguments = 0;
  SavedGraph body;  // of the arguments
  // Of arguments, cotangents, results, and of arguments, tangents.
  std::optional<SavedGraph> vjp, jvp;
};

// What was recorded from `inputs`, placeholders of an open trace, to `outputs`.
// Operations that a file cannot hold are expanded; throws
// std::invalid_argument for one that has no expansion. Evaluates the arrays
// from outside the trace. Without `calls`, checkpoints and custom functions are
// what they record.
SavedGraph save_graph(const Arrays& inputs,
                      Arrays outputs,
                      uint64_t first_seq,
                      bool calls);

// Lengths and numbers of a graph, other than the saved ones: one entry for each
// node and each number; an empty vector or a null array keeps what was saved.
struct Replacements {
  std::vector<std::vector<double>> lengths;
  Arrays numbers;
};

// Records the graph on other inputs, through functions that check.
Arrays replay(const SavedGraph& g,
              const Arrays& inputs,
              const Replacements* other = nullptr);

// Constants of all functions of a file, each array once.
class ConstantPool {
 public:
  uint64_t add(const array& x);
  const Arrays& arrays() const { return arrays_; }

 private:
  Arrays arrays_;
};

void write_spec(FileWriter& w, const Spec& s);
// Lengths are not negative, and all bytes fit 63 bits.
Spec read_spec(FileReader& r);

void write_graph(FileWriter& w, const SavedGraph& g, ConstantPool& pool);
SavedGraph read_graph(FileReader& r, const Arrays& pool, int depth = 0);

}  // namespace treadle
