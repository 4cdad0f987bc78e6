// How the lengths in a traced function follow from those of its arguments,
// found by tracing it with others.
#pragma once

#include <functional>
#include <vector>

#include "treadle/io/function_graph.h"

namespace treadle {

// A length in a graph, or a number in it, as a function of the free lengths:
// with t_i = (length_i - base_i) / step_i, the sum over subsets S of
// coefficients[S] times the product of t_i for i in S.
struct LengthFormula {
  uint32_t place = 0;     // of a node or a number
  uint32_t position = 0;  // among the node's lengths
  bool inverse = false;   // of a number: the formula is for 1 / number
  std::vector<double> coefficients;
};

struct FreeLength {
  int64_t base = 0, step = 0;
  std::vector<std::pair<uint32_t, uint32_t>> axes;  // (argument, axis)
};

struct Lengths {
  std::vector<FreeLength> free;
  std::vector<std::vector<uint32_t>> subsets;  // of `free`, the empty one first
  std::vector<LengthFormula> nodes, numbers;
};

// Finds them for the graph that `trace` gives for given arguments' specs.
// `trace` throws for specs that the function does not take. Throws
// std::invalid_argument when a length depends on others in a way that no
// formula expresses.
Lengths find_lengths(const SavedGraph& g,
                     const std::function<SavedGraph(const Specs&)>& trace);

// Whether arguments of these specs fit, and what to put in the graph for them.
bool takes(const SavedGraph& g, const Lengths& lengths, const Specs& in);
Replacements lengths_for(const SavedGraph& g,
                         const Lengths& lengths,
                         const Specs& in);

void write_lengths(FileWriter& w, const Lengths& lengths);
Lengths read_lengths(FileReader& r, const SavedGraph& g);

}  // namespace treadle
