// Arrays made from a shape or a range.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/elementwise.h"

namespace treadle {

// start, start + step, ...: `count` values.
struct Arange : OpBase<Arange> {
  static constexpr std::string_view op_name = "arange";
  Dtype dtype = int32;
  double start = 0, step = 1;
  int64_t count = 0;
  auto fields() const { return std::tie(dtype); }
  auto sizes() const { return std::tie(start, step, count); }
  Specs infer(std::span<const Spec> in) const override;
  Arrays jvp(const Arrays&,
             const Arrays&,
             const Arrays&,
             Argnums) const override;
  Arrays vjp(const Arrays&,
             const Arrays&,
             const Arrays&,
             Argnums) const override;
  Mapped vmap(const Arrays&, std::span<const int>) const override;
};

// All elements `value`: a scalar stretched to the shape, which costs no memory.
array full(const Shape& shape,
           const Term& value,
           std::optional<Dtype> dtype = {},
           StreamOrDevice s = {});
array zeros(const Shape& shape, Dtype dtype = float32, StreamOrDevice s = {});
array ones(const Shape& shape, Dtype dtype = float32, StreamOrDevice s = {});
array zeros_like(const array& x, StreamOrDevice s = {});
array ones_like(const array& x, StreamOrDevice s = {});
// start, start + step, ... below stop. When all are integers int32, int64 for
// bounds beyond it; else float32.
array arange(const Scalar& start,
             const Scalar& stop,
             const Scalar& step = 1,
             std::optional<Dtype> dtype = {},
             StreamOrDevice s = {});
array arange(const Scalar& stop,
             std::optional<Dtype> dtype = {},
             StreamOrDevice s = {});
// n x m (m = n when negative), ones on diagonal k.
array eye(
    int n, int m = -1, int k = 0, Dtype dtype = float32, StreamOrDevice s = {});

}  // namespace treadle
