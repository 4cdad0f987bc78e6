// Running sums, products, maxima, minima and log-sum-exps along an axis.
#pragma once

#include <optional>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle {

enum class CumulativeKind : uint8_t { sum, prod, max, min, logsumexp };

// Element i combines elements 0 ... i of the axis: without i itself when not
// inclusive, and i ... end when reverse. The dtype is the input's; no sums of
// bools, and log-sum-exps of inexact types only.
struct Cumulative : OpBase<Cumulative> {
  static constexpr std::string_view op_name = "cumulative";
  CumulativeKind kind_of = CumulativeKind::sum;
  int axis = 0;
  bool reverse = false;
  bool inclusive = true;

  auto fields() const { return std::tie(kind_of, axis, reverse, inclusive); }
  std::string_view name() const override;
  TREADLE_RULES
};

// x of any shape; along `axis`, or of the flattened x. With inclusive false the
// first result (the last when reverse) is what combines nothing: 0, 1, the
// lowest, the highest number, -infinity. NaN stays from where it is met.
//
// Sums of bool are int32; integers wrap around. float16 and bfloat16 are
// combined in float32. Sums go by blocks: the error grows with the number of
// blocks, not of elements. Results do not depend on the number of threads.
array cumsum(const array& x,
             std::optional<int> axis = {},
             bool reverse = false,
             bool inclusive = true,
             StreamOrDevice s = {});
// The derivative of a product is right where factors are 0, also that of the
// derivative where no two factors are.
array cumprod(const array& x,
              std::optional<int> axis = {},
              bool reverse = false,
              bool inclusive = true,
              StreamOrDevice s = {});
// The derivative goes to the last of equal elements on the way.
array cummax(const array& x,
             std::optional<int> axis = {},
             bool reverse = false,
             bool inclusive = true,
             StreamOrDevice s = {});
array cummin(const array& x,
             std::optional<int> axis = {},
             bool reverse = false,
             bool inclusive = true,
             StreamOrDevice s = {});
// log(cumsum(exp(x))) without overflow; integers and bool become float32.
array logcumsumexp(const array& x,
                   std::optional<int> axis = {},
                   bool reverse = false,
                   bool inclusive = true,
                   StreamOrDevice s = {});

}  // namespace treadle
