// The derivative of a product by each of its factors.
#pragma once

#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

// x, and its products over `axes` with these kept -> for each element the
// product of all others. Dividing the product by the element is fast, and right
// where elements are 0 if these are counted, but says nothing about derivatives
// there: these are those of a tree of products.
struct ProductOfOthers : Composite<ProductOfOthers> {
  static constexpr std::string_view op_name = "product_of_others";
  Axes axes;

  auto fields() const { return std::tie(axes); }
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Arrays expand(const Arrays& x) const override;
  TREADLE_JVP_VJP
};

}  // namespace treadle
