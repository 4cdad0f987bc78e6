// Tapes to check the CUDA printer with: what plan/fuse would build, written by
// hand. Also used by tools/gpu_smoke.
#pragma once

#include <string>
#include <vector>

#include "treadle/plan/tape.h"

namespace treadle::cuda_check {

// Appends values to a tape; a value is known by its position.
class TapeBuilder {
 public:
  using Value = uint16_t;

  explicit TapeBuilder(int inner_axes = 0) { tape.inner_axes = inner_axes; }

  Value load(Dtype t, bool uniform = false);
  Value row(Row r, Value a, Value b = 0, Value c = 0);
  Value convert(Value a, Dtype t);
  Value reduce_row(ReduceKind kind, Value a);
  void store(Value a, Dtype t, plan::OutputForm form = plan::OutputForm::full);
  void reduce_column(ReduceKind kind, Value a, Dtype t);

  plan::Tape tape;

 private:
  Value add(plan::TapeValue v);
};

// tanh(sigmoid(x) * x + 1/3 ...): ten rows on one operand, three of them
// costly.
plan::Tape chain(Dtype t);
// max(x * w + b, 0), w and b operands of any broadcast.
plan::Tape scale_shift_relu(Dtype t);
// where(mask, x, y), mask bool.
plan::Tape masked(Dtype t);
// A step of AdamW: parameter, gradient and two moments, five scalars.
plan::Tape adamw();
plan::Tape softmax(Dtype t);
// gamma and beta along the row; also stores mean and 1 / deviation of each row.
plan::Tape layer_norm(Dtype t);
// From x, the cotangent, gamma, mean and 1 / deviation: the cotangents of x,
// gamma and beta.
plan::Tape layer_norm_backward();
plan::Tape column_sum(Dtype t);
// Sum, maximum and minimum of x * x down the columns, and x * x itself.
plan::Tape column_extremes();
// Product, maximum and minimum along the row.
plan::Tape row_extremes(Dtype t);
// The operand as every dtype.
plan::Tape conversions(Dtype from);

// Every row that takes this lane, each on the same three operands of the dtype
// and stored by itself; `rows` gets them in the order of outputs.
plan::Tape all_rows(plan::Lane lane, std::vector<Row>* rows = nullptr);
// A dtype whose lane this is, without widening.
Dtype dtype_of_lane(plan::Lane lane);
bool takes(Rule rule, plan::Lane lane);

struct NamedTape {
  std::string name;
  plan::Tape tape;
};
std::vector<NamedTape> all_tapes();

}  // namespace treadle::cuda_check
