// Of updates that are multiplied into elements: the product of the others of
// the same element.
#pragma once

#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

// x, indices and updates as Scatter (or ScatterAlongAxis) takes them -> for
// each update the product of the other updates of its element; x gives lengths
// alone. The product of all is divided by the update, and zeros are counted:
// fast, and right, but it says nothing about derivatives at zeros, which are
// those of products alone.
struct OtherUpdates : Composite<OtherUpdates> {
  static constexpr std::string_view op_name = "other_updates";
  int axis = 0;
  bool along = false;  // as ScatterAlongAxis

  auto fields() const { return std::tie(axis, along); }
  Specs infer(std::span<const Spec> in) const override { return {in[2]}; }
  Arrays expand(const Arrays& x) const override;
  TREADLE_JVP_VJP
};

}  // namespace treadle
