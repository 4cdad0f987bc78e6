#include "treadle/ops/masks.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/graph/trace.h"
#include "treadle/ops/create.h"
#include "treadle/ops/cumulative.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/sort.h"
#include "treadle/ops/true_places.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

// The value of a count that a result's size depends on.
int64_t read_count(std::string_view op, const array& count) {
  try {
    return count.item<int64_t>();
  } catch (const NoValue& e) {
    invalid(op,
            fmt::format("the size of the result depends on values that are "
                        "not known here; use where() or assign through the "
                        "mask, give a size where there is one, or compute it "
                        "outside. {}",
                        e.what()));
  }
}

void check_size(std::string_view op, const std::optional<int64_t>& size) {
  if (size && *size < 0) {
    invalid(op, fmt::format("got size {}; expected 0 or more.", *size));
  }
}

// Places of the true elements of a vector, as many as there are or `size` of
// them; `known` says for each whether it is one.
struct Places {
  array places;
  array known;  // null: all are
};

Places places_of(std::string_view op,
                 const array& flat,
                 const std::optional<int64_t>& size) {
  check_size(op, size);
  const int64_t n = flat.size();
  const Dtype dtype = n > INT32_MAX ? int64 : int32;
  const int64_t count = size ? *size : known_count(op, flat);
  if (n == 0 || count == 0) {
    return {zeros({count}, dtype), size ? zeros({count}, bool_) : array()};
  }
  if (!size && count == n) return {arange(n, dtype), {}};
  const Arrays found = true_places(flat, count);
  Places p{found[0], {}};
  if (size) p.known = less(arange(count, dtype), found[1]);
  return p;
}

array flat_mask(const array& x) {
  return x.dtype() == bool_ ? flatten(x) : not_equal(flatten(x), 0);
}

array filled(const Places& p, const array& values, int64_t fill_value) {
  if (p.known.null()) return values;
  return select(p.known, values, fill_value);
}

}  // namespace

int64_t known_count(std::string_view op, const array& x, StreamOrDevice s) {
  StreamScope scope(resolve(s));
  // Named, so that what it is made of is gone, and not stored, when it is read.
  const array count = sum(astype(not_equal(x, 0), int64));
  return read_count(op, count);
}

array flatnonzero(const array& x,
                  std::optional<int64_t> size,
                  int64_t fill_value,
                  StreamOrDevice s) {
  StreamScope scope(resolve(s));
  const Places p = places_of("flatnonzero", flat_mask(x), size);
  return filled(p, p.places, fill_value);
}

Arrays nonzero(const array& x,
               std::optional<int64_t> size,
               int64_t fill_value,
               StreamOrDevice s) {
  StreamScope scope(resolve(s));
  if (x.ndim() == 0) {
    invalid("nonzero", "got a scalar; expected at least one axis.");
  }
  const Places p = places_of("nonzero", flat_mask(x), size);
  Arrays out(x.shape().size());
  array rest = p.places;
  for (size_t i = out.size(); i-- > 0;) {
    const int64_t n = std::max<int64_t>(x.shape()[i], 1);
    out[i] = filled(p, i == 0 ? rest : remainder(rest, n), fill_value);
    if (i > 0) rest = floor_divide(rest, n);
  }
  return out;
}

array argwhere(const array& x,
               std::optional<int64_t> size,
               int64_t fill_value,
               StreamOrDevice s) {
  StreamScope scope(resolve(s));
  if (x.ndim() == 0) {
    const int64_t n = size ? *size : known_count("argwhere", x);
    check_size("argwhere", n);
    return zeros({n, 0}, int32);
  }
  return stack(nonzero(x, size, fill_value), 1);
}

Unique unique(const array& a,
              std::optional<int64_t> size,
              const std::optional<Term>& fill_value,
              StreamOrDevice s) {
  StreamScope scope(resolve(s));
  check_size("unique", size);
  if (fill_value && fill_value->is_array() &&
      fill_value->as_array().size() != 1) {
    invalid("unique",
            fmt::format("got a fill value of shape {}; expected one element.",
                        to_string(fill_value->as_array().shape())));
  }
  const array flat = flatten(a);
  const int64_t n = flat.size();
  array fill;
  if (fill_value) {
    fill = fill_value->is_array()
               ? reshape(astype(fill_value->as_array(), a.dtype()), {1})
               : full({1}, fill_value->scalar(), a.dtype());
  }
  if (n == 0) {
    const int64_t count = size.value_or(0);
    if (count > 0 && !fill_value) {
      invalid("unique",
              fmt::format("got no elements and size {}; expected a fill value.",
                          count));
    }
    return {count > 0 ? broadcast_to(fill, {count}) : zeros({0}, a.dtype()),
            zeros({count}, uint32),
            zeros(a.shape(), uint32),
            zeros({count}, int32)};
  }
  // The order is computed for those who ask where elements were.
  const array order = argsort(flat);
  const array sorted = sort(flat);
  const array fresh =
      not_equal(slice(sorted, {1}, {n}), slice(sorted, {0}, {n - 1}));
  // The place in `values` of each element in order.
  const array place =
      concatenate({zeros({1}, int32), cumsum(astype(fresh, int32))});
  const array total = sum(astype(fresh, int32), AxisArg(), true) + 1;
  const int64_t count =
      size ? *size : read_count("unique", astype(squeeze(total), int64));
  // What is cut off goes to a place of its own.
  const array slot = minimum(place, count);
  auto kept = [&](const array& x) { return slice(x, {0}, {count}); };
  auto gathered = [&](const array& to, const array& x, ScatterMode mode) {
    return kept(scatter(to, slot, x, 0, mode));
  };
  Unique u;
  const array known = less(arange(count, int32), total);
  const array first = slice(sorted, {0}, {1});
  u.values =
      gathered(zeros({count + 1}, a.dtype()), sorted, ScatterMode::assign);
  u.values = select(known, u.values, fill_value ? fill : first);
  u.index =
      gathered(broadcast_to(array(Scalar(UINT32_MAX), uint32), {count + 1}),
               order,
               ScatterMode::minimum);
  u.index = select(known, u.index, slice(order, {0}, {1}));
  u.counts =
      gathered(zeros({count + 1}, int32), ones({n}, int32), ScatterMode::add);
  const array back =
      astype(minimum(place, std::max<int64_t>(count - 1, 0)), uint32);
  u.inverse = reshape(scatter(zeros({n}, uint32), order, back, 0), a.shape());
  return u;
}

}  // namespace treadle
