// The places of the true elements of a vector: what nonzero, argwhere and
// reading through a mask are made of.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"

namespace treadle {

// A vector of truth values -> the places of its first `count` true elements in
// order, 0 after the last, and the number of true elements; both of `dtype`,
// int32 or int64, which holds the length of the vector.
struct TruePlaces : Composite<TruePlaces> {
  static constexpr std::string_view op_name = "true_places";
  int64_t count = 0;
  Dtype dtype = int32;

  auto fields() const { return std::tie(count, dtype); }
  Specs infer(std::span<const Spec> in) const override;
  Arrays expand(const Arrays& x) const override;
};

// Both outputs, of a vector that is not empty, and a count of at least 1.
Arrays true_places(const array& flags, int64_t count);

}  // namespace treadle
