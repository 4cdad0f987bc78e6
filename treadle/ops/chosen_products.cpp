#include "treadle/ops/chosen_products.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/matmul.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// Both in the floating dtype in which they meet.
struct Pair {
  array a, b;
};

Pair promoted(std::string_view op, const array& a, const array& b) {
  const Dtype dtype = promote_types(a.dtype(), b.dtype());
  if (!is_floating(dtype)) {
    invalid(op,
            fmt::format("got {} and {}; expected floating dtypes.",
                        name_of(a.dtype()),
                        name_of(b.dtype())));
  }
  if (a.ndim() == 0 || b.ndim() == 0) {
    invalid(op, "got a scalar; expected vectors, matrices or batches of them.");
  }
  return {astype(a, dtype), astype(b, dtype)};
}

Shape batch_of(const array& x) {
  return {x.shape().begin(), x.shape().end() - 2};
}

// The batch axes as one.
array batched(const array& x) {
  return reshape(x, {size_of(batch_of(x)), x.shape(-2), x.shape(-1)});
}

void check_indices(std::string_view op, const array& i) {
  if (i.null() || is_integer(i.dtype())) return;
  invalid(
      op,
      fmt::format("got indices of {}; expected integers.", name_of(i.dtype())));
}

}  // namespace

// The ops ---------------------------------------------------------------------

namespace {

array turned(const array& x) { return swapaxes(x, -1, -2); }

bool are_indices(const Spec& s, const Shape& shape) {
  return is_integer(s.dtype) && s.shape == shape;
}

[[noreturn]] void do_not_fit(std::string_view op, std::span<const Spec> in) {
  std::string got;
  for (const Spec& s : in) got += (got.empty() ? "" : ", ") + to_string(s);
  invalid(op, fmt::format("the inputs do not fit: got {}.", got));
}

// The tangent of a product of x[0] and x[1].
template <class T>
Arrays product_rule(const T& op, const Arrays& x, const Arrays& t, Argnums at) {
  array y;
  for (size_t i = 0; i < at.size(); ++i) {
    if (at[i] > 1 || t[i].null()) continue;
    Arrays in = x;
    in[size_t(at[i])] = t[i];
    const array part = record(make_op(op), in, resolve({}));
    y = y.null() ? part : y + part;
  }
  return {y};
}

// (S, K): which rows belong to each segment.
array inside_of(const array& segments, int64_t k) {
  const array at = astype(arange(k, int64), segments.dtype());
  auto column = [&](int64_t i) {
    return slice(segments, {0, i}, {segments.shape(0), i + 1});
  };
  return logical_and(greater_equal(at, column(0)), less(at, column(1)));
}

void check_segments(std::string_view op, std::span<const Spec> in) {
  const Spec& s = in[2];
  if (!is_floating(in[0].dtype) || in[0].dtype != in[1].dtype ||
      s.shape.size() != 2 || s.shape[1] != 2 || !is_integer(s.dtype)) {
    do_not_fit(op, in);
  }
}

}  // namespace

Specs ChosenProducts::infer(std::span<const Spec> in) const {
  const Shape &x = in[0].shape, &y = in[1].shape;
  bool fits = (in.size() == 4 || in.size() == 5) && x.size() == 3 &&
              y.size() == 3 && x[2] == y[1] && is_floating(in[0].dtype) &&
              in[0].dtype == in[1].dtype && in[2].shape.size() == 1 &&
              groups >= 0;
  for (size_t i = 2; fits && i < in.size(); ++i) {
    fits = are_indices(in[i], in[2].shape);
  }
  if (!fits) do_not_fit(op_name, in);
  const int64_t count = in.size() == 5 ? groups : in[2].shape[0];
  return {Spec{{count, x[1], y[2]}, in[0].dtype}};
}

Arrays ChosenProducts::expand(const Arrays& x) const {
  array y = matmul(take(x[0], x[2], 0), take(x[1], x[3], 0));
  if (x.size() == 4) return {y};
  const array none = zeros({groups, y.shape(1), y.shape(2)}, y.dtype());
  return {scatter(none, x[4], y, 0, ScatterMode::add)};
}

Arrays ChosenProducts::jvp(const Arrays& x,
                           const Arrays&,
                           const Arrays& t,
                           Argnums args) const {
  return product_rule(*this, x, t, args);
}

Arrays ChosenProducts::vjp(const Arrays& x,
                           const Arrays&,
                           const Arrays& ct,
                           Argnums args) const {
  return cotangents(ct[0], args, [&](int arg) {
    if (arg > 1) return array();
    const array g = x.size() == 5 ? x[4] : arange(x[2].shape(0), int64);
    ChosenProducts op;
    op.groups = x[size_t(arg)].shape(0);
    const Arrays in = arg == 0 ? Arrays{ct[0], turned(x[1]), g, x[3], x[2]}
                               : Arrays{turned(x[0]), ct[0], x[2], g, x[3]};
    return record(make_op(op), in, resolve({}));
  });
}

Specs SegmentProducts::infer(std::span<const Spec> in) const {
  const Shape &a = in[0].shape, &b = in[1].shape;
  check_segments(op_name, in);
  if (a.size() != 2 || b.size() != 2 || a[1] != b[0]) do_not_fit(op_name, in);
  return {Spec{{in[2].shape[0], a[0], b[1]}, in[0].dtype}};
}

// The smaller factor is masked.
Arrays SegmentProducts::expand(const Arrays& x) const {
  const array inside = inside_of(x[2], x[0].shape(1));
  if (x[0].shape(0) <= x[1].shape(1)) {
    return {matmul(select(expand_dims(inside, 1), x[0], 0), x[1])};
  }
  return {matmul(x[0], select(expand_dims(inside, 2), x[1], 0))};
}

Arrays SegmentProducts::jvp(const Arrays& x,
                            const Arrays&,
                            const Arrays& t,
                            Argnums args) const {
  return product_rule(*this, x, t, args);
}

Arrays SegmentProducts::vjp(const Arrays& x,
                            const Arrays&,
                            const Arrays& ct,
                            Argnums args) const {
  auto rows = [&](const array& of, const array& by) {
    return record(SegmentRows{}, {of, by, x[2]}, resolve({}));
  };
  return cotangents(ct[0], args, [&](int arg) {
    if (arg > 1) return array();
    return arg == 0 ? turned(rows(x[1], turned(ct[0])))
                    : rows(turned(x[0]), ct[0]);
  });
}

Specs SegmentRows::infer(std::span<const Spec> in) const {
  const Shape &x = in[0].shape, &c = in[1].shape;
  check_segments(op_name, in);
  if (x.size() != 2 || c.size() != 3 || x[1] != c[1] ||
      c[0] != in[2].shape[0]) {
    do_not_fit(op_name, in);
  }
  return {Spec{{x[0], c[2]}, in[0].dtype}};
}

Arrays SegmentRows::expand(const Arrays& x) const {
  const array inside = expand_dims(inside_of(x[2], x[0].shape(0)), 2);
  return {sum(matmul(select(inside, x[0], 0), x[1]), 0)};
}

Arrays SegmentRows::jvp(const Arrays& x,
                        const Arrays&,
                        const Arrays& t,
                        Argnums args) const {
  return product_rule(*this, x, t, args);
}

Arrays SegmentRows::vjp(const Arrays& x,
                        const Arrays&,
                        const Arrays& ct,
                        Argnums args) const {
  return cotangents(ct[0], args, [&](int arg) {
    if (arg > 1) return array();
    return arg == 0
               ? record(SegmentRows{}, {ct[0], turned(x[1]), x[2]}, resolve({}))
               : record(SegmentProducts{},
                        {turned(x[0]), ct[0], x[2]},
                        resolve({}));
  });
}

// The functions ---------------------------------------------------------------

array gather_mm(const array& a,
                const array& b,
                const array& lhs_indices,
                const array& rhs_indices,
                bool /*sorted_indices*/,
                StreamOrDevice s) {
  constexpr std::string_view op = "gather_mm";
  StreamScope scope(resolve(s));
  check_indices(op, lhs_indices);
  check_indices(op, rhs_indices);
  auto [x, y] = promoted(op, a, b);
  if (a.ndim() == 1) x = expand_dims(x, 0);
  if (b.ndim() == 1) y = expand_dims(y, 1);
  if (x.shape(-1) != y.shape(-2)) {
    invalid(op,
            fmt::format("got {} and {}; expected equal inner lengths.",
                        to_string(a.spec()),
                        to_string(b.spec())));
  }
  array out;
  if (lhs_indices.null() && rhs_indices.null()) {
    out = matmul(x, y);
  } else {
    auto every = [](const array& indices, const array& of) {
      if (!indices.null()) return indices;
      const Shape batch = batch_of(of);
      return reshape(arange(size_of(batch), int32), batch);
    };
    const array i = every(lhs_indices, x), j = every(rhs_indices, y);
    const Shape picked = broadcast_shapes(op, i.shape(), j.shape());
    const int64_t count = size_of(picked);
    auto flat = [&](const array& of) {
      return reshape(broadcast_to(of, picked), {count});
    };
    out = record(ChosenProducts{},
                 {batched(x), batched(y), flat(i), flat(j)},
                 resolve({}));
    Shape shape = picked;
    shape.push_back(x.shape(-2));
    shape.push_back(y.shape(-1));
    out = reshape(out, shape);
  }
  if (b.ndim() == 1) out = squeeze(out, -1);
  if (a.ndim() == 1) out = squeeze(out, b.ndim() == 1 ? -1 : -2);
  return out;
}

namespace {

// Blocks of the matrices of x as the mask says.
array masked(const array& x, const array& mask, int block) {
  constexpr std::string_view op = "block_masked_mm";
  if (mask.null()) return x;
  auto blocks = [&](int64_t n) { return (n + block - 1) / block; };
  const int64_t rows = x.shape(-2), columns = x.shape(-1);
  Shape expected = batch_of(x);
  expected.push_back(blocks(rows));
  expected.push_back(blocks(columns));
  if (broadcast_shapes(op, mask.shape(), expected) != expected) {
    invalid(op,
            fmt::format("got a mask of shape {} for blocks of {} of {}; "
                        "expected {}.",
                        to_string(mask.shape()),
                        block,
                        to_string(x.spec()),
                        to_string(expected)));
  }
  // (..., R, C) -> (..., R, block, C, block) -> (..., rows, columns)
  Shape least(expected.size() - std::min(expected.size(), mask.shape().size()),
              1);
  least.append(mask.shape().begin(), mask.shape().end());
  const array all = broadcast_to(reshape(mask, least), expected);
  array m = expand_dims(expand_dims(all, -1), -3);
  Shape wide(m.shape());
  wide[wide.size() - 1] = wide[wide.size() - 3] = block;
  m = broadcast_to(m, wide);
  Shape flat = batch_of(x);
  flat.push_back(blocks(rows) * block);
  flat.push_back(blocks(columns) * block);
  m = slice(reshape(m, flat), Shape(flat.size(), 0), x.shape());
  return m.dtype() == bool_ ? select(m, x, 0)
                            : multiply(x, astype(m, x.dtype()));
}

}  // namespace

array block_masked_mm(const array& a,
                      const array& b,
                      int block_size,
                      const array& mask_out,
                      const array& mask_lhs,
                      const array& mask_rhs,
                      StreamOrDevice s) {
  constexpr std::string_view op = "block_masked_mm";
  StreamScope scope(resolve(s));
  if (mask_out.null() && mask_lhs.null() && mask_rhs.null()) {
    return matmul(a, b);
  }
  if (block_size != 32 && block_size != 64) {
    invalid(op,
            fmt::format("got blocks of {}; expected 32 or 64.", block_size));
  }
  auto [x, y] = promoted(op, a, b);
  if (a.ndim() == 1) x = expand_dims(x, 0);
  if (b.ndim() == 1) y = expand_dims(y, 1);
  // Masks may have the batch of the result.
  const Shape batch = broadcast_shapes(op, batch_of(x), batch_of(y));
  auto widened = [&](const array& m) {
    Shape shape = batch;
    shape.append(m.shape().end() - 2, m.shape().end());
    return broadcast_to(m, shape);
  };
  if (!mask_lhs.null()) x = masked(widened(x), mask_lhs, block_size);
  if (!mask_rhs.null()) y = masked(widened(y), mask_rhs, block_size);
  array out = masked(matmul(x, y), mask_out, block_size);
  if (b.ndim() == 1) out = squeeze(out, -1);
  if (a.ndim() == 1) out = squeeze(out, b.ndim() == 1 ? -1 : -2);
  return out;
}

array segmented_mm(const array& a,
                   const array& b,
                   const array& segments,
                   StreamOrDevice s) {
  constexpr std::string_view op = "segmented_mm";
  StreamScope scope(resolve(s));
  auto [x, y] = promoted(op, a, b);
  if (x.ndim() != 2 || y.ndim() != 2 || x.shape(1) != y.shape(0)) {
    invalid(op,
            fmt::format("got {} and {}; expected matrices (M, K) and (K, N).",
                        to_string(a.spec()),
                        to_string(b.spec())));
  }
  check_indices(op, segments);
  if (segments.ndim() == 0 || segments.shape(-1) != 2) {
    invalid(op,
            fmt::format("got segments {}; expected pairs (..., 2).",
                        to_string(segments.spec())));
  }
  const Shape pairs(segments.shape().begin(), segments.shape().end() - 1);
  array out = record(SegmentProducts{},
                     {x, y, reshape(segments, {size_of(pairs), 2})},
                     resolve({}));
  Shape shape = pairs;
  shape.push_back(x.shape(0));
  shape.push_back(y.shape(1));
  return reshape(out, shape);
}

}  // namespace treadle
