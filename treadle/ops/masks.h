// Where elements are, and which different ones there are: results whose size
// depends on values. Without a given size they read the values, so that what
// they depend on is computed now; inside compile, vmap and scan, where arrays
// have no values, that is an error.
#pragma once

#include <optional>
#include <string_view>

#include "treadle/graph/array.h"
#include "treadle/ops/elementwise.h"

namespace treadle {

// The positions in the flattened x of the elements other than 0, ascending
// (int32, int64 for more than 2^31 elements). With `size` that many of them,
// filled up with `fill_value`: then no value is read.
array flatnonzero(const array& x,
                  std::optional<int64_t> size = {},
                  int64_t fill_value = 0,
                  StreamOrDevice s = {});
// The same as one array for each axis: x[nonzero(x)] are the elements.
Arrays nonzero(const array& x,
               std::optional<int64_t> size = {},
               int64_t fill_value = 0,
               StreamOrDevice s = {});
// The same as rows: (count, ndim).
array argwhere(const array& x,
               std::optional<int64_t> size = {},
               int64_t fill_value = 0,
               StreamOrDevice s = {});

// How many elements are other than 0; reads the value.
int64_t known_count(std::string_view op, const array& x, StreamOrDevice s = {});

// The different elements of the flattened a in order, or the smallest `size` of
// them, filled up with `fill_value` (none: the smallest); with a size no value
// is read. `index` (uint32): the first place of each in a, `inverse` (uint32,
// a's shape): a's elements as places in `values`, `counts` (int32): how often
// each is met, 0 in what is filled up. What a size cuts off counts in the
// inverse as the last one. NaN differs from all, also from itself.
struct Unique {
  array values, index, inverse, counts;
};
Unique unique(const array& a,
              std::optional<int64_t> size = {},
              const std::optional<Term>& fill_value = {},
              StreamOrDevice s = {});

}  // namespace treadle
