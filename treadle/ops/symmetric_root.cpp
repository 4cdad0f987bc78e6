#include "treadle/ops/symmetric_root.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/views.h"

namespace treadle {

Specs SymmetricRoot::infer(std::span<const Spec> in) const {
  const Shape& s = in[0].shape;
  if (s.size() < 2 || s.back() != s[s.size() - 2] ||
      (in[0].dtype != float32 && in[0].dtype != float64)) {
    invalid(op_name,
            fmt::format("got {}; expected square matrices of float32 or "
                        "float64.",
                        treadle::to_string(in[0])));
  }
  return {in[0]};
}

Arrays SymmetricRoot::jvp(const Arrays&,
                          const Arrays&,
                          const Arrays&,
                          Argnums) const {
  return not_differentiable(op_name);
}

Arrays SymmetricRoot::vjp(const Arrays&,
                          const Arrays&,
                          const Arrays&,
                          Argnums) const {
  return not_differentiable(op_name);
}

Mapped SymmetricRoot::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{symmetric_root(moveaxis(x[0], axes[0], 0))}, {0}};
}

array symmetric_root(const array& x, StreamOrDevice s) {
  return record(SymmetricRoot(), {x}, resolve(s));
}

}  // namespace treadle
