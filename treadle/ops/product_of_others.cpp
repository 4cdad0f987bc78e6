#include "treadle/ops/product_of_others.h"

#include <algorithm>

#include "treadle/graph/array.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// The same from products alone, so that all derivatives are right: products of
// neighbours up to the root, and back, where each child takes its sibling.
struct ProductTree : Composite<ProductTree> {
  static constexpr std::string_view op_name = "product_tree";
  Axes axes;

  auto fields() const { return std::tie(axes); }
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Arrays expand(const Arrays& x) const override;
};

Arrays ProductTree::expand(const Arrays& x) const {
  // The axes of the product last, as one, stretched with ones.
  Axes order, back(size_t(x[0].ndim()), 0);
  for (int i = 0; i < x[0].ndim(); ++i) {
    if (std::find(axes.begin(), axes.end(), i) == axes.end())
      order.push_back(i);
  }
  const size_t kept = order.size();
  order.append(axes.begin(), axes.end());
  for (size_t i = 0; i < order.size(); ++i) back[size_t(order[i])] = int(i);
  const array front = transpose(x[0], order);
  int64_t rows = 1, length = 1;
  for (size_t i = 0; i < order.size(); ++i)
    (i < kept ? rows : length) *= front.shape(int(i));
  int64_t wide = 1;
  while (wide < length) wide *= 2;
  array v = reshape(front, {rows, length});
  if (wide > length)
    v = concatenate({v, ones({rows, wide - length}, v.dtype())}, 1);
  Arrays pairs;
  for (int64_t n = wide; n > 1; n /= 2) {
    pairs.push_back(reshape(v, {rows, n / 2, 2}));
    const Arrays halves = split(pairs.back(), 2, 2);
    v = squeeze(multiply(halves[0], halves[1]), 2);
  }
  array others = ones({rows, 1}, v.dtype());
  while (!pairs.empty()) {
    others = multiply(expand_dims(others, 2), flip(pairs.back(), {2}));
    others = reshape(others, {rows, 2 * pairs.back().shape(1)});
    pairs.pop_back();
  }
  if (wide > length) others = slice(others, {0, 0}, {rows, length});
  return {transpose(reshape(others, front.shape()), back)};
}

}  // namespace

Arrays ProductOfOthers::expand(const Arrays& x) const {
  array zero = equal(x[0], 0);
  array zeros = sum(astype(zero, int32), axes, true);
  array rest = prod(select(zero, 1, x[0]), axes, true);
  return {select(zero,
                 select(equal(zeros, 1), rest, 0),
                 select(equal(zeros, 0), x[1] / select(zero, 1, x[0]), 0))};
}

// The product, the second input, is a function of the first and has no share of
// its own.
Arrays ProductOfOthers::jvp(const Arrays& x,
                            const Arrays&,
                            const Arrays& t,
                            Argnums args) const {
  if (args[0] != 0 || t[0].null()) return {array()};
  ProductTree tree;
  tree.axes = axes;
  return jvp_by_expansion(tree, {x[0]}, {t[0]}, args.first(1));
}

Arrays ProductOfOthers::vjp(const Arrays& x,
                            const Arrays&,
                            const Arrays& ct,
                            Argnums args) const {
  Arrays out(args.size());
  if (args[0] != 0 || ct[0].null()) return out;
  ProductTree tree;
  tree.axes = axes;
  out[0] = vjp_by_expansion(tree, {x[0]}, ct, args.first(1))[0];
  return out;
}

}  // namespace treadle
