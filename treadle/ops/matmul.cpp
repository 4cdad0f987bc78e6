#include "treadle/ops/matmul.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/node.h"
#include "treadle/graph/record.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

array swapped(const array& x) { return swapaxes(x, -1, -2); }

// x is recorded as a matrix with its last two axes swapped, as a layer's weight
// is.
bool is_swapped(const array& x) {
  const Op* op = x.node()->op.get();
  const Transpose* t = op ? as<Transpose>(*op) : nullptr;
  if (!t) return false;
  const Axes& axes = t->axes;
  const int n = int(axes.size());
  for (int i = 0; i + 2 < n; ++i) {
    if (axes[size_t(i)] != i) return false;
  }
  return axes[size_t(n - 1)] == n - 2;
}
array conjugated(const array& x) {
  return is_complex(x.dtype()) ? conjugate(x) : x;
}

}  // namespace

Specs Matmul::infer(std::span<const Spec> in) const {
  const Shape &a = in[0].shape, &b = in[1].shape;
  bool fits =
      a.size() >= 2 && a.size() == b.size() && a.back() == b[b.size() - 2];
  for (size_t i = 0; fits && i + 2 < a.size(); ++i) fits = a[i] == b[i];
  if (!fits) {
    invalid(op_name,
            fmt::format("inner lengths differ: got {} and {}; expected "
                        "(..., M, K) and (..., K, N).",
                        treadle::to_string(in[0]),
                        treadle::to_string(in[1])));
  }
  Shape out = a;
  out.back() = b.back();
  return {Spec{out, in[0].dtype}};
}

Arrays Matmul::jvp(const Arrays& x,
                   const Arrays&,
                   const Arrays& t,
                   Argnums args) const {
  array y;
  for (size_t i = 0; i < args.size(); ++i) {
    if (t[i].null()) continue;
    array part = args[i] == 0 ? matmul(t[i], x[1]) : matmul(x[0], t[i]);
    y = y.null() ? part : y + part;
  }
  return {y};
}

Arrays Matmul::vjp(const Arrays& x,
                   const Arrays&,
                   const Arrays& ct,
                   Argnums args) const {
  // The cotangent of a transposed factor is computed transposed: what it is the
  // transpose of gets one in row order.
  return cotangents(ct[0], args, [&](int arg) {
    if (arg == 0) {
      const array b = conjugated(x[1]);
      return is_swapped(x[0]) ? swapped(matmul(b, swapped(ct[0])))
                              : matmul(ct[0], swapped(b));
    }
    const array a = conjugated(x[0]);
    return is_swapped(x[1]) ? swapped(matmul(swapped(ct[0]), a))
                            : matmul(swapped(a), ct[0]);
  });
}

Mapped Matmul::vmap(const Arrays& x, std::span<const int> axes) const {
  // One shared right factor: the batch joins the rows, one larger product.
  if (axes[1] == kNotMapped && x[1].ndim() == 2) {
    array a = moveaxis(x[0], axes[0], 0);
    return {{matmul(a, x[1])}, {0}};
  }
  Arrays in;
  for (size_t i = 0; i < 2; ++i) {
    in.push_back(axes[i] == kNotMapped ? expand_dims(x[i], 0)
                                       : moveaxis(x[i], axes[i], 0));
  }
  return {{matmul(in[0], in[1])}, {0}};
}

array matmul(const array& a_in, const array& b_in, StreamOrDevice s) {
  if (a_in.ndim() == 0 || b_in.ndim() == 0) {
    invalid("matmul",
            fmt::format("scalars are not multiplied as matrices: got {} "
                        "and {}; expected at least one dimension.",
                        to_string(a_in.spec()),
                        to_string(b_in.spec())));
  }
  Dtype dtype = at_least_float(promote_types(a_in.dtype(), b_in.dtype()));
  array a = astype(a_in, dtype, s), b = astype(b_in, dtype, s);
  bool row = a.ndim() == 1, column = b.ndim() == 1;
  if (row) a = expand_dims(a, 0, s);
  if (column) b = expand_dims(b, 1, s);
  if (a.shape(-1) != b.shape(-2)) {
    invalid("matmul",
            fmt::format("inner lengths differ: got {} and {}; expected "
                        "(..., M, K) and (..., K, N).",
                        to_string(a_in.spec()),
                        to_string(b_in.spec())));
  }
  // (..., M, K) with one matrix on the right is a single product of more rows.
  Shape lead;
  if (a.ndim() > 2 && b.ndim() == 2) {
    lead = a.shape();
    int64_t rows = 1;  // said, because -1 cannot be told from no elements
    for (size_t i = 0; i + 1 < lead.size(); ++i) rows *= lead[i];
    a = reshape(a, {rows, lead.back()}, s);
  } else if (a.ndim() != b.ndim() || a.ndim() > 2) {
    Shape sa(a.shape().begin(), a.shape().end() - 2);
    Shape sb(b.shape().begin(), b.shape().end() - 2);
    Shape batch = broadcast_shapes("matmul", sa, sb);
    auto with_batch = [&](const array& x) {
      Shape shape = batch;
      shape.push_back(x.shape(-2));
      shape.push_back(x.shape(-1));
      return broadcast_to(x, shape, s);
    };
    a = with_batch(a);
    b = with_batch(b);
  }
  array y = record(Matmul{}, {a, b}, resolve(s));
  if (!lead.empty()) {
    lead.back() = y.shape(-1);
    y = reshape(y, lead, s);
  }
  if (column) y = squeeze(y, -1, s);
  if (row) y = squeeze(y, column ? -1 : -2, s);
  return y;
}

array addmm(const array& c,
            const array& a,
            const array& b,
            float alpha,
            float beta,
            StreamOrDevice s) {
  array y = matmul(a, b, s);
  if (alpha != 1) y = multiply(y, alpha, s);
  return add(y, beta == 1 ? c : multiply(c, beta, s), s);
}

}  // namespace treadle
