#include "treadle/ops/other_updates.h"

#include "treadle/graph/array.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/cumulative_product.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/sort.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// Products of the elements before each, of equal indices, which lie side by
// side and stretch to v; from products alone.
array products_before(const array& indices, const array& v, int axis) {
  const int64_t n = v.shape(axis);
  const auto same = [&](int64_t step) {
    return equal(indices, moved_on(indices, axis, step, -1));
  };
  array y = v;
  for (int64_t step = 1; step < n; step *= 2) {
    y = select(same(step), multiply(y, moved_on(y, axis, step, 1)), y);
  }
  return n > 0 ? select(same(1), moved_on(y, axis, 1, 1), 1) : y;
}

// The same as OtherUpdates, right in its derivatives too: updates sorted by
// index, the products of those before and of those behind each.
struct ExactOtherUpdates : Composite<ExactOtherUpdates> {
  static constexpr std::string_view op_name = "exact_other_updates";
  int axis = 0;
  bool along = false;

  auto fields() const { return std::tie(axis, along); }
  Specs infer(std::span<const Spec> in) const override { return {in[2]}; }
  Arrays expand(const Arrays& x) const override {
    const array& u = x[2];
    array at = astype(x[1], int64);
    at = select(less(at, 0), at + x[0].shape(axis), at);
    if (along) {
      const array order = argsort(at, axis);
      const array products = both_sides(take_along_axis(at, order, axis),
                                        take_along_axis(u, order, axis));
      return {take_along_axis(products, argsort(order, axis), axis)};
    }
    // (P..., I..., Q...) with the axes I as one.
    Shape joined(u.shape().begin(), u.shape().begin() + axis);
    joined.push_back(at.size());
    joined.append(u.shape().begin() + axis + at.ndim(), u.shape().end());
    const array order = argsort(reshape(at, {-1}), 0);
    Shape beside(joined.size(), 1);
    beside[size_t(axis)] = at.size();
    const array sorted = reshape(take(reshape(at, {-1}), order, 0), beside);
    const array products =
        both_sides(sorted, take(reshape(u, joined), order, axis));
    return {reshape(take(products, argsort(order, 0), axis), u.shape())};
  }

 private:
  array both_sides(const array& at, const array& v) const {
    const array after =
        products_before(flip(at, {axis}), flip(v, {axis}), axis);
    return multiply(products_before(at, v, axis), flip(after, {axis}));
  }
};

ExactOtherUpdates exact(const OtherUpdates& op) {
  ExactOtherUpdates e;
  e.axis = op.axis;
  e.along = op.along;
  return e;
}

}  // namespace

Arrays OtherUpdates::expand(const Arrays& x) const {
  const array& u = x[2];
  const auto put = [&](const array& to, const array& v, ScatterMode mode) {
    return along ? scatter_along_axis(to, x[1], v, axis, mode)
                 : scatter(to, x[1], v, axis, mode);
  };
  const auto get = [&](const array& from) {
    return along ? take_along_axis(from, x[1], axis) : take(from, x[1], axis);
  };
  const array zero = equal(u, 0);
  const array rest = select(zero, 1, u);
  const array product =
      put(ones(x[0].shape(), u.dtype()), rest, ScatterMode::multiply);
  const array zeros_there =
      put(zeros(x[0].shape(), int32), astype(zero, int32), ScatterMode::add);
  return {select(equal(get(zeros_there), astype(zero, int32)),
                 divide(get(product), rest),
                 0)};
}

Arrays OtherUpdates::jvp(const Arrays& x,
                         const Arrays&,
                         const Arrays& t,
                         Argnums args) const {
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] != 2 || t[i].null()) continue;
    return jvp_by_expansion(exact(*this), x, {t[i]}, args.subspan(i, 1));
  }
  return {array()};
}

Arrays OtherUpdates::vjp(const Arrays& x,
                         const Arrays&,
                         const Arrays& ct,
                         Argnums args) const {
  Arrays out(args.size());
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] != 2 || ct[0].null()) continue;
    out[i] = vjp_by_expansion(exact(*this), x, ct, args.subspan(i, 1))[0];
  }
  return out;
}

}  // namespace treadle
