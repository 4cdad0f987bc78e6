#include "treadle/ops/sort.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

array order_of(const array& x) { return record(ArgSort(), {x}, resolve({})); }

// Positions do not move when x moves a little.
Arrays no_tangent() { return {array()}; }

}  // namespace

// sort ----------------------------------------------------------------------

Specs Sort::infer(std::span<const Spec> in) const { return {in[0]}; }

Arrays Sort::jvp(const Arrays& x,
                 const Arrays&,
                 const Arrays& t,
                 Argnums) const {
  if (t[0].null()) return {array()};
  return {take_along_axis(t[0], order_of(x[0]), -1)};
}

Arrays Sort::vjp(const Arrays& x,
                 const Arrays&,
                 const Arrays& ct,
                 Argnums) const {
  if (ct[0].null() || !is_inexact(x[0].dtype())) return {array()};
  return {put_along_axis(zeros_like(x[0]), order_of(x[0]), ct[0], -1)};
}

Mapped Sort::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{record(*this, {moveaxis(x[0], axes[0], 0)}, resolve({}))}, {0}};
}

// argsort -------------------------------------------------------------------

Specs ArgSort::infer(std::span<const Spec> in) const {
  if (in[0].shape.back() > int64_t(UINT32_MAX)) {
    invalid(op_name,
            fmt::format("the axis has length {}; the result counts in uint32.",
                        in[0].shape.back()));
  }
  return {Spec{in[0].shape, uint32}};
}

Arrays ArgSort::jvp(const Arrays&,
                    const Arrays&,
                    const Arrays&,
                    Argnums) const {
  return no_tangent();
}

Arrays ArgSort::vjp(const Arrays&,
                    const Arrays&,
                    const Arrays&,
                    Argnums args) const {
  return Arrays(args.size());
}

Mapped ArgSort::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{record(*this, {moveaxis(x[0], axes[0], 0)}, resolve({}))}, {0}};
}

// argpartition --------------------------------------------------------------

Specs ArgPartition::infer(std::span<const Spec> in) const {
  return ArgSort().infer(in);
}

Arrays ArgPartition::jvp(const Arrays&,
                         const Arrays&,
                         const Arrays&,
                         Argnums) const {
  return no_tangent();
}

Arrays ArgPartition::vjp(const Arrays&,
                         const Arrays&,
                         const Arrays&,
                         Argnums args) const {
  return Arrays(args.size());
}

Mapped ArgPartition::vmap(const Arrays& x, std::span<const int> axes) const {
  return {{record(*this, {moveaxis(x[0], axes[0], 0)}, resolve({}))}, {0}};
}

namespace {

// Op T along any axis; the result too lies in the order of x's axes.
template <class T>
array ordered(const array& x, std::optional<int> axis, StreamOrDevice s) {
  if (!axis) return record(T(), {flatten(x, 0, -1, s)}, resolve(s));
  int a = normalize_axis(T::op_name, *axis, x.shape().size());
  if (a == x.ndim() - 1) return record(T(), {x}, resolve(s));
  array y = record(T(), {swapaxes(x, a, -1, s)}, resolve(s));
  return swapaxes(y, a, -1, s);
}

int64_t length_of(std::string_view op,
                  const array& x,
                  std::optional<int> axis) {
  if (!axis) return x.size();
  return x.shape(normalize_axis(op, *axis, x.shape().size()));
}

// From these lengths on, an axis is not put in order as a whole (measured).
constexpr int64_t kLongArg = 1024, kLong = 4096;

// The positions of a partition along the last axis.
array positions(const array& x, int64_t kth, Stream s) {
  ArgPartition op;
  op.kth = kth;
  return record(op, {x}, s);
}

// f(x, s) on x with the axis in question as the last one; x flattened: none.
template <class F>
array along_last(const array& x, std::optional<int> axis, Stream s, F&& f) {
  if (!axis) return f(flatten(x, 0, -1, s));
  const int a = normalize_axis("partition", *axis, x.shape().size());
  if (a == x.ndim() - 1) return f(x);
  return swapaxes(f(swapaxes(x, a, -1, s)), a, -1, s);
}

// kth from the front.
int64_t check_kth(std::string_view op,
                  const array& x,
                  int kth,
                  std::optional<int> axis) {
  int64_t n = length_of(op, x, axis);
  if (kth >= -n && kth < n) return kth < 0 ? kth + n : kth;
  invalid(op,
          fmt::format("got kth = {} for {} elements of {}; expected {} to {}.",
                      kth,
                      n,
                      to_string(x.spec()),
                      -n,
                      n - 1));
}

}  // namespace

array sort(const array& x, std::optional<int> axis, StreamOrDevice s) {
  return ordered<Sort>(x, axis, s);
}

array argsort(const array& x, std::optional<int> axis, StreamOrDevice s) {
  return ordered<ArgSort>(x, axis, s);
}

array partition(const array& x,
                int kth,
                std::optional<int> axis,
                StreamOrDevice s) {
  const int64_t k = check_kth("partition", x, kth, axis);
  if (length_of("partition", x, axis) < kLong) return sort(x, axis, s);
  const Stream stream = resolve(s);
  return along_last(x, axis, stream, [&](const array& v) {
    return take_along_axis(v, positions(v, k, stream), -1, stream);
  });
}

array argpartition(const array& x,
                   int kth,
                   std::optional<int> axis,
                   StreamOrDevice s) {
  const int64_t k = check_kth("argpartition", x, kth, axis);
  if (length_of("argpartition", x, axis) < kLongArg) return argsort(x, axis, s);
  const Stream stream = resolve(s);
  return along_last(
      x, axis, stream, [&](const array& v) { return positions(v, k, stream); });
}

array topk(const array& x, int k, std::optional<int> axis, StreamOrDevice s) {
  int64_t n = length_of("topk", x, axis);
  if (k < 0 || k > n) {
    invalid("topk",
            fmt::format("got k = {} for {} elements of {}; expected 0 to {}.",
                        k,
                        n,
                        to_string(x.spec()),
                        n));
  }
  // The last k along an axis.
  auto last_of = [&](const array& y, int along) {
    Shape start(y.shape().size(), 0);
    start[size_t(along)] = n - k;
    return slice(y, start, y.shape(), {}, s);
  };
  if (k == 0 || k == n || n < kLong) {
    return last_of(sort(x, axis, s),
                   axis ? normalize_axis("topk", *axis, x.shape().size()) : 0);
  }
  const Stream stream = resolve(s);
  return along_last(x, axis, stream, [&](const array& v) {
    const array at = last_of(positions(v, n - k, stream), v.ndim() - 1);
    return sort(take_along_axis(v, at, -1, stream), -1, stream);
  });
}

array median(const array& x,
             const AxisArg& axis,
             bool keepdims,
             StreamOrDevice s) {
  // The axes in question as one, the last.
  Axes over = axis.resolve("median", x.shape().size()), order, kept;
  Shape outer, with_ones = x.shape();
  for (int i = 0, k = 0; i < x.ndim(); ++i) {
    if (k < int(over.size()) && over[size_t(k)] == i) {
      with_ones[size_t(i)] = 1;
      ++k;
    } else {
      order.push_back(i);
      outer.push_back(x.shape(i));
    }
  }
  order.append(over.begin(), over.end());
  int64_t n = 1;
  for (int i : over) n *= x.shape(i);
  if (n == 0) {
    invalid("median",
            fmt::format("got no elements: {} over axes of length 0.",
                        to_string(x.spec())));
  }
  Shape flat = outer;
  flat.push_back(n);
  array v = is_inexact(x.dtype()) ? x : astype(x, float32, s);
  array y = sort(reshape(transpose(v, order, s), flat, s), -1, s);
  auto element = [&](int64_t i) {
    Shape start(flat.size(), 0), stop = flat;
    start.back() = i;
    stop.back() = i + 1;
    return squeeze(slice(y, start, stop, {}, s), -1, s);
  };
  array middle = element(n / 2);
  if (n % 2 == 0) {
    middle = multiply(add(element(n / 2 - 1), middle, s), 0.5, s);
  }
  array last = element(n - 1);  // NaN if there is one
  middle = select(not_equal(last, last, s), last, middle, s);
  return keepdims ? reshape(middle, with_ones, s) : middle;
}

// searchsorted --------------------------------------------------------------

Specs SearchSorted::infer(std::span<const Spec> in) const {
  if (in[0].shape.size() != 1 || in[0].dtype != in[1].dtype ||
      in[0].shape[0] > int64_t(UINT32_MAX)) {
    invalid(op_name,
            fmt::format("got a sequence {} and values {}; expected a vector of "
                        "fewer than 2^32 elements and values of its dtype.",
                        treadle::to_string(in[0]),
                        treadle::to_string(in[1])));
  }
  return {Spec{in[1].shape, uint32}};
}

Arrays SearchSorted::jvp(const Arrays&,
                         const Arrays&,
                         const Arrays&,
                         Argnums) const {
  return no_tangent();
}

Arrays SearchSorted::vjp(const Arrays&,
                         const Arrays&,
                         const Arrays&,
                         Argnums args) const {
  return Arrays(args.size());
}

Mapped SearchSorted::vmap(const Arrays& x, std::span<const int> axes) const {
  if (axes[0] == kNotMapped) {
    return {{record(*this, {x[0], x[1]}, resolve({}))}, {axes[1]}};
  }
  // A sequence for each value: all elements are compared and counted.
  array sequence = moveaxis(x[0], axes[0], 0), values = x[1];
  int64_t batch = sequence.shape(0);
  if (axes[1] != kNotMapped) {
    values = moveaxis(values, axes[1], 0);
  } else {
    Shape wide{batch};
    wide.append(values.shape().begin(), values.shape().end());
    values = broadcast_to(values, wide);
  }
  Shape each{batch};
  for (int i = 1; i < values.ndim(); ++i) each.push_back(1);
  each.push_back(sequence.shape(1));
  sequence = reshape(sequence, each);
  values = expand_dims(values, -1);
  // NaN is the largest and equal to itself.
  array nan = not_equal(values, values);
  array before = right
                     ? logical_or(less_equal(sequence, values), nan)
                     : logical_or(less(sequence, values),
                                  logical_and(nan, equal(sequence, sequence)));
  return {{astype(sum(before, -1), uint32)}, {0}};
}

array searchsorted(const array& sequence,
                   const array& values,
                   const std::string& side,
                   StreamOrDevice s) {
  if (side != "left" && side != "right") {
    invalid("searchsorted",
            fmt::format("got side '{}'; expected 'left' or 'right'.", side));
  }
  Dtype d = promote_types(sequence.dtype(), values.dtype());
  SearchSorted op;
  op.right = side == "right";
  return record(op, {astype(sequence, d, s), astype(values, d, s)}, resolve(s));
}

}  // namespace treadle
