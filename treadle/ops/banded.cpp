#include "treadle/ops/banded.h"

#include <algorithm>

#include <fmt/format.h>

#include "treadle/graph/record.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/index.h"
#include "treadle/ops/views.h"

namespace treadle {

void hash(Hasher& h, const Band& v) {
  fields::hash(h, v.in);
  fields::hash(h, v.first);
  fields::hash(h, v.begin);
  fields::hash(h, v.weight);
}

std::string text(const Band& v) { return fmt::format("{}x{}", v.out(), v.in); }

void Band::add(int64_t from, const std::vector<double>& entries) {
  auto zero = [](double w) { return w == 0; };
  auto start = std::find_if_not(entries.begin(), entries.end(), zero);
  auto end = std::find_if_not(entries.rbegin(), entries.rend(), zero).base();
  if (start == entries.end()) end = start;
  first.push_back(start == end ? 0 : from + (start - entries.begin()));
  weight.insert(weight.end(), start, end);
  begin.push_back(int64_t(weight.size()));
}

Band Band::transposed() const {
  Band t;
  t.in = out();
  std::vector<int64_t> low(size_t(in), t.in), high(size_t(in), 0);
  for (int64_t i = 0; i < out(); ++i) {
    for (int64_t k = 0; k < width(i); ++k) {
      const auto j = size_t(first[size_t(i)] + k);
      low[j] = std::min(low[j], i);
      high[j] = std::max(high[j], i + 1);
    }
  }
  for (int64_t j = 0; j < in; ++j) {
    std::vector<double> column;
    for (int64_t i = low[size_t(j)]; i < high[size_t(j)]; ++i) {
      const int64_t k = j - first[size_t(i)];
      const bool inside = k >= 0 && k < width(i);
      column.push_back(inside ? weight[size_t(begin[size_t(i)] + k)] : 0);
    }
    t.add(low[size_t(j)], column);
  }
  return t;
}

Specs Banded::infer(std::span<const Spec> in) const {
  Spec y = in[0];
  for (size_t a = 0; a < bands.size(); ++a)
    y.shape[size_t(axis) + a] = bands[a].out();
  return {y};
}

Arrays Banded::jvp(const Arrays&,
                   const Arrays&,
                   const Arrays& t,
                   Argnums) const {
  if (t[0].null()) return {array()};
  return {record(*this, {t[0]}, resolve({}))};
}

Arrays Banded::vjp(const Arrays&,
                   const Arrays&,
                   const Arrays& ct,
                   Argnums) const {
  if (ct[0].null()) return {array()};
  Banded op;
  op.axis = axis;
  for (const Band& b : bands) op.bands.push_back(b.transposed());
  return {record(std::move(op), {ct[0]}, resolve({}))};
}

Mapped Banded::vmap(const Arrays& x, std::span<const int> mapped) const {
  Banded op = *this;
  ++op.axis;
  return {{record(std::move(op), {moveaxis(x[0], mapped[0], 0)}, resolve({}))},
          {0}};
}

namespace {

// The k-th entries of all rows.
array tap(const array& x, int axis, const Band& b, int64_t k) {
  std::vector<int32_t> index;
  std::vector<double> weight;
  for (int64_t i = 0; i < b.out(); ++i) {
    const bool inside = k < b.width(i);
    index.push_back(inside ? int32_t(b.first[size_t(i)] + k) : 0);
    weight.push_back(inside ? b.weight[size_t(b.begin[size_t(i)] + k)] : 0);
  }
  Shape along(size_t(x.ndim()), 1);
  along[size_t(axis)] = b.out();
  const array w = astype(array::from(weight.data(), along), x.dtype());
  const array v = take(x, array::from(index.data(), {b.out()}), axis);
  return select(not_equal(w, 0), v * w, 0);
}

}  // namespace

Arrays Banded::expand(const Arrays& x) const {
  array y = x[0];
  for (size_t a = 0; a < bands.size(); ++a) {
    const Band& b = bands[a];
    const int at = axis + int(a);
    int64_t width = 0;
    for (int64_t i = 0; i < b.out(); ++i) width = std::max(width, b.width(i));
    Shape shape = y.shape();
    shape[size_t(at)] = b.out();
    array sum;
    if (b.in > 0) {
      for (int64_t k = 0; k < width; ++k) {
        const array v = tap(y, at, b, k);
        sum = sum.null() ? v : sum + v;
      }
    }
    y = sum.null() ? zeros(shape, y.dtype()) : sum;
  }
  return {y};
}

array banded_product(const array& x, int axis, std::vector<Band> bands) {
  const array v = is_half(x.dtype()) ? astype(x, float32) : x;
  array y = v;
  // At most two at once, the last ones: what lies between them stays near.
  for (size_t a = 0; a < bands.size();) {
    Banded op;
    op.axis = axis + int(a);
    const size_t end = bands.size() - a > 2 ? a + 1 : bands.size();
    for (; a < end; ++a) op.bands.push_back(std::move(bands[a]));
    y = record(std::move(op), {y}, resolve({}));
  }
  return astype(y, x.dtype());
}

}  // namespace treadle
