#include "treadle/ops/chosen_products.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/matmul.h"
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
  auto every = [](const array& indices, const array& of) {
    if (!indices.null()) return indices;
    const Shape batch = batch_of(of);
    return reshape(arange(size_of(batch), int32), batch);
  };
  const array left = every(lhs_indices, x), right = every(rhs_indices, y);
  const Shape picked = broadcast_shapes(op, left.shape(), right.shape());
  auto pick = [&](const array& of, const array& indices, bool given) {
    // A broadcast batch repeats matrices without a copy.
    array m = given ? take(batched(of), indices, 0) : of;
    Shape wide = picked;
    wide.append(m.shape().end() - 2, m.shape().end());
    return broadcast_to(m, wide);
  };
  array out = matmul(pick(x, left, !lhs_indices.null()),
                     pick(y, right, !rhs_indices.null()));
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
  const array flat = reshape(segments, {size_of(pairs), 2});
  const int64_t k = x.shape(1), m = x.shape(0), n = y.shape(1);
  const array at = astype(arange(k, int32), segments.dtype());
  auto column = [&](int64_t i) {
    return slice(flat, {0, i}, {flat.shape(0), i + 1});
  };
  // (S, K): what belongs to each segment. The smaller factor is masked.
  const array inside =
      logical_and(greater_equal(at, column(0)), less(at, column(1)));
  array out = m <= n ? matmul(select(expand_dims(inside, 1), x, 0), y)
                     : matmul(x, select(expand_dims(inside, 2), y, 0));
  Shape shape = pairs;
  shape.push_back(m);
  shape.push_back(n);
  return reshape(out, shape);
}

}  // namespace treadle
