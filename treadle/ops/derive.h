// Rules that follow from expand(): for composites and regions that have no
// better ones. Composite<D> is the base of an op written in other ops:
//
//   struct Softplus : Composite<Softplus> {
//     static constexpr std::string_view op_name = "softplus";
//     Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
//     Arrays expand(const Arrays& x) const override { return {logaddexp(x[0],
//     0)}; }
//   };
#pragma once

#include "treadle/graph/op.h"

namespace treadle {

Arrays jvp_by_expansion(const Op& op,
                        const Arrays& x,
                        const Arrays& t,
                        Argnums args);
Arrays vjp_by_expansion(const Op& op,
                        const Arrays& x,
                        const Arrays& ct,
                        Argnums args);
// The cotangents of an op whose jvp is written in other ops: the reverse walk
// over what it records on tangents, of which it is a linear function.
Arrays vjp_by_transposition(const Op& op,
                            const Arrays& x,
                            const Arrays& y,
                            const Arrays& ct,
                            Argnums args);
Mapped vmap_by_expansion(const Op& op,
                         const Arrays& x,
                         std::span<const int> axes);

template <class D, OpKind K = OpKind::composite>
class Composite : public OpBase<D, K> {
 public:
  Arrays jvp(const Arrays& x,
             const Arrays&,
             const Arrays& t,
             Argnums args) const override {
    return jvp_by_expansion(*this, x, t, args);
  }
  Arrays vjp(const Arrays& x,
             const Arrays&,
             const Arrays& ct,
             Argnums args) const override {
    return vjp_by_expansion(*this, x, ct, args);
  }
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override {
    return vmap_by_expansion(*this, x, axes);
  }
  Arrays expand(const Arrays& x) const override = 0;
};

}  // namespace treadle
