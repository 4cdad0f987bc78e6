#include "treadle/ops/join_indices.h"

#include "treadle/graph/array.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

Specs JoinIndices::infer(std::span<const Spec> in) const {
  return {Spec{in[0].shape, dtype}};
}

Arrays JoinIndices::expand(const Arrays& x) const {
  array sum, outside;
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t n = lengths[i];
    array at = astype(x[i], dtype);
    at = select(less(at, 0), add(at, n), at);
    array bad = logical_or(less(at, 0), greater_equal(at, n));
    outside = outside.null() ? bad : logical_or(outside, bad);
    sum = sum.null() ? at : add(multiply(sum, n), at);
  }
  return {select(outside, size_of(lengths), sum)};
}

}  // namespace treadle
