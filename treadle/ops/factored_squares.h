// Sums of squares over the rows and over the columns of a matrix: what
// Adafactor keeps of a gradient, and what the size of its update follows from.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"

namespace treadle {

// g (..., m, n) floating, row (..., m) and kept () of its dtype ->
//   row'    (..., m)  kept row + (1 - kept) (mean_j(g_ij^2) + eps)
//   column  (..., n)  mean_i(g_ij^2)
//   shares  (..., n)  mean_i(g_ij^2 / row'_i)
struct FactoredSquares : Composite<FactoredSquares> {
  static constexpr std::string_view op_name = "factored_squares";
  double eps = 0;

  auto fields() const { return std::tie(eps); }
  Specs infer(std::span<const Spec> in) const override;
  Arrays expand(const Arrays& x) const override;
};

// {row', column, shares} of g with at least two axes, in the dtype that g and
// row promote to, which is floating.
Arrays factored_squares(const array& g,
                        const array& row,
                        const array& kept,
                        double eps);

}  // namespace treadle
