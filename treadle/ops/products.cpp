#include "treadle/ops/products.h"

#include <algorithm>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/views.h"

namespace treadle {

array outer(const array& a, const array& b, StreamOrDevice s) {
  return multiply(reshape(a, {-1, 1}, s), flatten(b, 0, -1, s), s);
}

array inner(const array& a, const array& b, StreamOrDevice s) {
  if (a.ndim() == 0 || b.ndim() == 0) return multiply(a, b, s);
  if (a.shape(-1) != b.shape(-1)) {
    invalid("inner",
            fmt::format("last axes of {} and {} differ in length.",
                        to_string(a.shape()),
                        to_string(b.shape())));
  }
  return tensordot(a, b, Axes{-1}, Axes{-1}, s);
}

array kron(const array& a, const array& b, StreamOrDevice s) {
  size_t ndim = size_t(std::max(a.ndim(), b.ndim()));
  // a as (N, 1, ...) beside b as (1, M, ...), pairs of axes merged after.
  Shape wide_a, wide_b, merged;
  for (size_t i = 0; i < ndim; ++i) {
    auto length = [&](const Shape& shape) {
      size_t missing = ndim - shape.size();
      return i < missing ? 1 : shape[i - missing];
    };
    int64_t n = length(a.shape()), m = length(b.shape());
    for (int64_t d : {n, int64_t{1}}) wide_a.push_back(d);
    for (int64_t d : {int64_t{1}, m}) wide_b.push_back(d);
    merged.push_back(n * m);
  }
  array y = multiply(reshape(a, wide_a, s), reshape(b, wide_b, s), s);
  return reshape(y, merged, s);
}

array vecdot(const array& a, const array& b, int axis, StreamOrDevice s) {
  array left = is_complex(a.dtype()) ? conjugate(a, s) : a;
  return sum(multiply(left, b, s), axis, false, s);
}

array tensordot(const array& a,
                const array& b,
                const Axes& axes_a,
                const Axes& axes_b,
                StreamOrDevice s) {
  if (axes_a.size() != axes_b.size()) {
    invalid("tensordot",
            fmt::format(
                "got {} axes of a and {} of b.", axes_a.size(), axes_b.size()));
  }
  // Both as matrices: a (kept, summed), b (summed, kept).
  Axes order_a, order_b, sum_a, sum_b;
  Shape kept;
  int64_t inside = 1;
  for (size_t i = 0; i < axes_a.size(); ++i) {
    sum_a.push_back(normalize_axis("tensordot", axes_a[i], a.shape().size()));
    sum_b.push_back(normalize_axis("tensordot", axes_b[i], b.shape().size()));
    if (a.shape(sum_a.back()) != b.shape(sum_b.back())) {
      invalid("tensordot",
              fmt::format("axis {} of {} and axis {} of {} differ in length.",
                          axes_a[i],
                          to_string(a.shape()),
                          axes_b[i],
                          to_string(b.shape())));
    }
    inside *= a.shape(sum_a.back());
  }
  auto add_kept = [&](const array& x, const Axes& summed, Axes& order) {
    for (int i = 0; i < x.ndim(); ++i) {
      if (std::find(summed.begin(), summed.end(), i) != summed.end()) continue;
      order.push_back(i);
      kept.push_back(x.shape(i));
    }
  };
  add_kept(a, sum_a, order_a);
  order_a.append(sum_a.begin(), sum_a.end());
  order_b.append(sum_b.begin(), sum_b.end());
  add_kept(b, sum_b, order_b);
  int64_t rows = 1, columns = 1;
  for (size_t i = 0; i < kept.size(); ++i) {
    (i + sum_a.size() < a.shape().size() ? rows : columns) *= kept[i];
  }
  array left = reshape(transpose(a, order_a, s), {rows, inside}, s);
  array right = reshape(transpose(b, order_b, s), {inside, columns}, s);
  return reshape(matmul(left, right, s), kept, s);
}

array tensordot(const array& a, const array& b, int axes, StreamOrDevice s) {
  if (axes < 0 || axes > std::min(a.ndim(), b.ndim())) {
    invalid("tensordot",
            fmt::format("got {} axes for arrays of shapes {} and {}.",
                        axes,
                        to_string(a.shape()),
                        to_string(b.shape())));
  }
  Axes axes_a, axes_b;
  for (int i = 0; i < axes; ++i) {
    axes_a.push_back(a.ndim() - axes + i);
    axes_b.push_back(i);
  }
  return tensordot(a, b, axes_a, axes_b, s);
}

}  // namespace treadle
