// An array cut into several along one axis.
#pragma once

#include <string_view>
#include <tuple>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/derive.h"

namespace treadle {

// x -> its slices [0, p0), [p0, p1), ... [pk, n) along `axis`; the positions
// rise from 0 to n. One op, so that what arrives for the parts is joined, not
// each laid into zeros and added up.
struct Split : Composite<Split> {
  static constexpr std::string_view op_name = "split";
  int axis = 0;
  Shape positions;

  auto fields() const { return std::tie(axis); }
  auto sizes() const { return std::tie(positions); }
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
  Arrays expand(const Arrays& x) const override;
};

}  // namespace treadle
