// The square root of a covariance matrix.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"

namespace treadle {

// x (..., N, N), symmetric and positive semi-definite, float32 or float64 ->
// the symmetric positive semi-definite y with y y = x. Only x's lower triangle
// is read. Eigenvalues below 0 count by their absolute value, as singular
// values would. By Jacobi's eigenvalue iteration in float64.
struct SymmetricRoot : OpBase<SymmetricRoot> {
  static constexpr std::string_view op_name = "symmetric_root";
  Specs infer(std::span<const Spec> in) const override;
  Arrays jvp(const Arrays& x,
             const Arrays& y,
             const Arrays& t,
             Argnums args) const override;
  Arrays vjp(const Arrays& x,
             const Arrays& y,
             const Arrays& ct,
             Argnums args) const override;
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override;
};

array symmetric_root(const array& x, StreamOrDevice s = {});

}  // namespace treadle
