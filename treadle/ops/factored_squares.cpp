#include "treadle/ops/factored_squares.h"

#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

Specs FactoredSquares::infer(std::span<const Spec> in) const {
  Spec row{in[0].shape, in[0].dtype}, column = row;
  row.shape.erase(row.shape.end() - 1);
  column.shape.erase(column.shape.end() - 2);
  return {row, column, column};
}

Arrays FactoredSquares::expand(const Arrays& x) const {
  const array squares = square(x[0]);
  const array row = x[2] * x[1] + (1 - x[2]) * (mean(squares, -1) + eps);
  // A row's mean is known once the row has been read: all three come of one
  // pass over g.
  return {row, mean(squares, -2), mean(squares * expand_dims(1 / row, -1), -2)};
}

Arrays factored_squares(const array& g,
                        const array& row,
                        const array& kept,
                        double eps) {
  FactoredSquares op;
  op.eps = eps;
  const Dtype t = at_least_float(promote_types(g.dtype(), row.dtype()));
  return record_all(make_op(std::move(op)),
                    {astype(g, t), astype(row, t), astype(kept, t)},
                    resolve({}));
}

}  // namespace treadle
