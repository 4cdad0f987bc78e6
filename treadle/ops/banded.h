// Weighted sums of neighbours along axes: interpolation, pooling over windows
// of unequal width, and their gradients.
#pragma once

#include <vector>

#include "treadle/graph/array.h"
#include "treadle/ops/derive.h"
#include "treadle/ops/rules.h"

namespace treadle {

// A matrix (out, in) whose rows have their entries next to one another: row i
// has weight[begin[i]], ..., weight[begin[i + 1] - 1] from column first[i] on.
struct Band {
  int64_t in = 0;
  std::vector<int64_t> first, begin{0};
  std::vector<double> weight;

  int64_t out() const { return int64_t(first.size()); }
  int64_t width(int64_t i) const {
    return begin[size_t(i) + 1] - begin[size_t(i)];
  }
  // Appends a row with entries from column `from` on; zeros at its ends are
  // left out.
  void add(int64_t from, const std::vector<double>& entries);
  Band transposed() const;

  friend bool operator==(const Band&, const Band&) = default;
};

// Of a field of an op.
void hash(Hasher& h, const Band& v);
std::string text(const Band& v);

// x (..., N, M, ...), float32 or float64 -> bands[0] times x along `axis`, and
// along the next axis bands[1] times that, if there is one. An entry that is
// zero takes no part, whatever it would be multiplied by.
struct Banded : Composite<Banded> {
  static constexpr std::string_view op_name = "banded_product";
  int axis = 0;
  std::vector<Band> bands;

  auto fields() const { return std::tie(axis); }
  auto sizes() const { return std::tie(bands); }
  Specs infer(std::span<const Spec> in) const override;
  TREADLE_JVP_VJP
  Mapped vmap(const Arrays& x, std::span<const int> mapped) const override;
  Arrays expand(const Arrays& x) const override;
};

// The product of a band for each axis of x (..., N, ...) from `axis` on. Half
// types are computed in float32.
array banded_product(const array& x, int axis, std::vector<Band> bands);

}  // namespace treadle
