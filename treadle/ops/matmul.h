// Matrix products.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle {

// a (..., M, K) @ b (..., K, N) -> (..., M, N); the batch axes are equal
// (record broadcasts them) and both have one floating or complex dtype.
// Operands may be strided: a transpose costs no copy.
struct Matmul : OpBase<Matmul> {
  static constexpr std::string_view op_name = "matmul";
  TREADLE_RULES
};

// NumPy's rules: batch axes broadcast, a one-dimensional argument is a row on
// the left or a column on the right and its axis is dropped from the result.
array matmul(const array& a, const array& b, StreamOrDevice s = {});

// alpha * (a @ b) + beta * c, c broadcast to the product.
array addmm(const array& c,
            const array& a,
            const array& b,
            float alpha = 1,
            float beta = 1,
            StreamOrDevice s = {});

}  // namespace treadle
