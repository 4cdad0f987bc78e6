// Positions along several axes as positions in the one axis that they become
// when they are merged.
#pragma once

#include "treadle/ops/derive.h"

namespace treadle {

// Integer arrays of one shape, one for each axis, whose lengths are `lengths`;
// negative ones count from the end -> positions in the merged axis. A position
// outside its axis becomes one past the end, which readers refuse.
struct JoinIndices : Composite<JoinIndices> {
  static constexpr std::string_view op_name = "join_indices";
  Dtype dtype = int32;  // of the result
  Shape lengths;

  auto fields() const { return std::tie(dtype); }
  auto sizes() const { return std::tie(lengths); }
  Specs infer(std::span<const Spec> in) const override;
  Arrays expand(const Arrays& x) const override;
};

}  // namespace treadle
