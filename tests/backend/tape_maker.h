// Writes tapes by hand and runs them on arrays that a test lays out as it
// likes.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "treadle/plan/tape.h"

#include "tests/backend/kernel_call.h"

namespace treadle::testing {

// Adds values to a tape, filling in lanes, phases and what is uniform.
class TapeMaker {
 public:
  explicit TapeMaker(int inner_axes = 0) { tape_.inner_axes = inner_axes; }

  uint16_t load(Dtype dtype, bool uniform = false);
  uint16_t row(Row row, uint16_t a, uint16_t b = 0, uint16_t c = 0);
  uint16_t convert(uint16_t a, Dtype dtype);
  uint16_t reduce_row(ReduceKind kind, uint16_t a);
  // The lane's own dtype when none is given.
  void store(uint16_t a);
  void store(uint16_t a, Dtype dtype);
  void store_row(uint16_t a);
  void reduce_column(ReduceKind kind, uint16_t a);

  OpPtr op() const { return plan::make_fused(tape_); }
  const plan::Tape& tape() const { return tape_; }

 private:
  uint16_t push(plan::TapeValue v);
  uint16_t after(uint16_t a) const;
  void output(uint16_t a,
              Dtype dtype,
              plan::OutputForm form,
              plan::TapeValue v);

  plan::Tape tape_;
};

// The dtype of a lane itself.
Dtype dtype_of_lane(plan::Lane lane);

// Runs the CPU kernel of a tape over a space; fails the test when it writes
// outside of its outputs and workspace. Output k lies in the memory of operand
// in_place[k] unless that is -1, and is unwanted when bit k of the mask is set.
std::vector<Tensor> run_tape(const Op& op,
                             const Shape& space,
                             const std::vector<Tensor>& in,
                             int threads = 1,
                             const std::vector<int>& in_place = {},
                             unsigned unwanted = 0);

}  // namespace treadle::testing
