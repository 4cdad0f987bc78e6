#include "treadle/ops/cumulative_product.h"

#include "treadle/graph/record.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

array walk(const Cumulative& like, CumulativeKind kind, const array& x) {
  Cumulative op = like;
  op.kind_of = kind;
  return record(op, {x}, resolve({}));
}

array walk_back(const Cumulative& like, CumulativeKind kind, const array& x) {
  Cumulative op = like;
  op.reverse = !like.reverse;
  op.kind_of = kind;
  return record(op, {x}, resolve({}));
}

array moved_on(const array& x, int axis, int64_t step, Scalar fill) {
  Shape head = x.shape(), to = x.shape();
  const Shape from(head.size(), 0);
  head[size_t(axis)] = step;
  to[size_t(axis)] -= step;
  return concatenate({full(head, fill, x.dtype()), slice(x, from, to)}, axis);
}

namespace {

// g_i = sum over the results k that x_i went into of ct_k y_k / x_i; where x_i
// is the first 0 on the way, y_k without it instead.
array cotangent(const Cumulative& op,
                const array& x,
                const array& y,
                const array& ct) {
  array zero = equal(x, 0);
  Cumulative count = op;
  count.kind_of = CumulativeKind::sum;
  count.inclusive = true;
  array zeros_met = record(count, {astype(zero, int32)}, resolve({}));
  array first = logical_and(zero, equal(zeros_met, 1));
  array others =
      walk(op, CumulativeKind::prod, select(first, array(1, x.dtype()), x));
  array behind = select(greater(zeros_met, 0), multiply(ct, others), 0);
  array at_first = walk_back(op, CumulativeKind::sum, behind);
  array plain = divide(walk_back(op, CumulativeKind::sum, multiply(ct, y)),
                       select(zero, array(1, x.dtype()), x));
  // Beyond the first 0 all products are 0 and stay so.
  plain = select(equal(zeros_met, 0), plain, 0);
  return select(first, at_first, plain);
}

// t_k of the product: the sum of t_i y_k / x_i by the same rule.
array tangent(const Cumulative& op,
              const array& x,
              const array& y,
              const array& t) {
  array zero = equal(x, 0);
  Cumulative count = op;
  count.kind_of = CumulativeKind::sum;
  array zeros_met = record(count, {astype(zero, int32)}, resolve({}));
  Cumulative inclusive = count;
  inclusive.inclusive = true;
  array first = logical_and(
      zero, equal(record(inclusive, {astype(zero, int32)}, resolve({})), 1));
  array one(1, x.dtype());
  array relative = divide(t, select(zero, one, x));
  array others = walk(op, CumulativeKind::prod, select(first, one, x));
  array before =
      multiply(y, walk(op, CumulativeKind::sum, select(zero, 0, relative)));
  array behind = multiply(
      others, walk(op, CumulativeKind::sum, select(first, relative, 0)));
  return select(equal(zeros_met, 0), before, behind);
}

// The running product from products alone: each element by the one `step`
// before it, for steps that double.
struct ProductSteps : Composite<ProductSteps> {
  static constexpr std::string_view op_name = "product_steps";
  int axis = 0;
  bool reverse = false, inclusive = true;

  auto fields() const { return std::tie(axis, reverse, inclusive); }
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }

  Arrays expand(const Arrays& x) const override {
    const int64_t n = x[0].shape(axis);
    array y = reverse ? flip(x[0], {axis}) : x[0];
    if (!inclusive && n > 0) y = moved_on(y, axis, 1, 1);
    for (int64_t step = 1; step < n; step *= 2) {
      y = multiply(y, moved_on(y, axis, step, 1));
    }
    return {reverse ? flip(y, {axis}) : y};
  }
};

// (x, v) -> tangents or cotangents by products alone.
struct ExactDerivative : Composite<ExactDerivative> {
  static constexpr std::string_view op_name = "cumprod_exact_derivative";
  ProductSteps steps;
  bool back = false;

  auto fields() const {
    return std::tie(steps.axis, steps.reverse, steps.inclusive, back);
  }
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Arrays expand(const Arrays& x) const override {
    const int first[] = {0};
    if (!back) return {jvp_by_expansion(steps, {x[0]}, {x[1]}, first)};
    // The cotangents of complex numbers take the conjugate themselves.
    const bool is_real = !is_complex(x[0].dtype());
    return {vjp_by_expansion(
        steps, {is_real ? x[0] : conjugate(x[0])}, {x[1]}, first)};
  }
};

// (x, y, v) -> the same by quotients.
struct ProductDerivative : Composite<ProductDerivative> {
  static constexpr std::string_view op_name = "cumprod_derivative";
  Cumulative op;
  bool back = false;

  auto fields() const {
    return std::tie(op.axis, op.reverse, op.inclusive, back);
  }
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Arrays expand(const Arrays& x) const override {
    return {back ? cotangent(op, x[0], x[1], x[2])
                 : tangent(op, x[0], x[1], x[2])};
  }

  // y is a function of x and has no share of its own.
  Arrays jvp(const Arrays& x,
             const Arrays&,
             const Arrays& t,
             Argnums args) const override {
    Arrays tangents;
    std::vector<int> of;
    for (size_t i = 0; i < args.size(); ++i) {
      if (args[i] == 1 || t[i].null()) continue;
      of.push_back(args[i] == 2 ? 1 : 0);
      tangents.push_back(t[i]);
    }
    if (of.empty()) return {array()};
    return jvp_by_expansion(exact(), {x[0], x[2]}, tangents, of);
  }
  Arrays vjp(const Arrays& x,
             const Arrays&,
             const Arrays& ct,
             Argnums args) const override {
    Arrays out(args.size());
    std::vector<int> of;
    for (int i : args) {
      if (i != 1) of.push_back(i == 2 ? 1 : 0);
    }
    if (of.empty() || ct[0].null()) return out;
    const Arrays g = vjp_by_expansion(exact(), {x[0], x[2]}, ct, of);
    size_t next = 0;
    for (size_t i = 0; i < args.size(); ++i) {
      if (args[i] != 1) out[i] = g[next++];
    }
    return out;
  }

 private:
  ExactDerivative exact() const {
    ExactDerivative d;
    d.steps.axis = op.axis;
    d.steps.reverse = op.reverse;
    d.steps.inclusive = op.inclusive;
    d.back = back;
    return d;
  }
};

array derivative(const Cumulative& op,
                 bool back,
                 const array& x,
                 const array& y,
                 const array& v) {
  ProductDerivative d;
  d.op = op;
  d.back = back;
  return record(d, {x, y, v}, resolve({}));
}

}  // namespace

array product_tangent(const Cumulative& op,
                      const array& x,
                      const array& y,
                      const array& t) {
  return derivative(op, false, x, y, t);
}

array product_cotangent(const Cumulative& op,
                        const array& x,
                        const array& y,
                        const array& ct) {
  return derivative(op, true, x, y, ct);
}

}  // namespace treadle
