// Positions of the largest and smallest elements.
#pragma once

#include <optional>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle {

enum class ArgKind : uint8_t { max, min };

// The result is uint32 and keeps the axis with length 1. Of equal elements the
// first counts; NaN is both larger and smaller than all numbers.
struct ArgReduce : OpBase<ArgReduce> {
  static constexpr std::string_view op_name = "arg_reduce";
  ArgKind reduce = ArgKind::max;
  int axis = 0;

  auto fields() const { return std::tie(reduce, axis); }
  std::string_view name() const override {
    return reduce == ArgKind::max ? "argmax" : "argmin";
  }
  TREADLE_RULES
};

// Position along `axis`, or in the flattened x; the axis (all axes) is dropped
// unless keepdims.
array argmax(const array& x,
             std::optional<int> axis = {},
             bool keepdims = false,
             StreamOrDevice s = {});
array argmin(const array& x,
             std::optional<int> axis = {},
             bool keepdims = false,
             StreamOrDevice s = {});

}  // namespace treadle
