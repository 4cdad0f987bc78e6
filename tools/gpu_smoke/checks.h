// The calls whose results the smoke run compares with the reference.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/gpu_smoke/device.h"
#include "tools/gpu_smoke/reference.h"

namespace treadle::gpu_smoke {

// How an operand lies in memory, in a space of outer and inner axes. A tape
// without rows has its last axis as inner here.
enum class View {
  full,
  misaligned,  // full, but its first element is not on 16 bytes
  padded,      // full, 8 elements unused after each row of the last axis
  transposed,  // full, axes in the opposite order
  scalar,      // one element
  inner,       // one element for each inner position
  outer,       // one element for each outer position
};

struct OperandSpec {
  OperandSpec(View v, std::optional<double> fixed = {}, double random = 3)
      : view(v), value(fixed), spread(random) {}
  View view;
  std::optional<double> value;  // of every element; else random in +-spread
  double spread;
};

// The error of an output is |got - expected| in units of its dtype's epsilon
// times |expected|, or times `floor` where that is larger.
struct Tolerance {
  double limit = 0;
  double floor = 0;
};

struct Check {
  std::string name;
  plan::Tape tape;
  Shape space;
  std::vector<OperandSpec> operands;
  std::vector<Tolerance> tolerances;  // of each output
  Precision precision = Precision::wider;
  bool special_values = false;  // zeros, infinities, extremes among the random
  std::vector<std::string> output_names;
};

std::vector<Check> all_checks();

struct Outcome {
  bool passed = true;
  double worst = 0;    // error over limit, where the limit is not 0
  std::string report;  // what failed, and the largest errors
};

Outcome run_check(const Check& check, Modules& modules);

// Operands as launch_of wants them, with memory for each.
Strides strides_of(View view, const Shape& space, int inner_axes);
int64_t elements_of(const Shape& space, const Strides& strides);

}  // namespace treadle::gpu_smoke
