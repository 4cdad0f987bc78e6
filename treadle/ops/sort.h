// Ordering elements along an axis. The order is ascending and stable: equal
// elements stay in their order, -0 equals 0, NaN comes last, complex numbers
// compare by their real, then their imaginary parts.
#pragma once

#include <optional>
#include <string>

#include "treadle/graph/array.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/rules.h"

namespace treadle {

// The elements along the last axis in order. Of -0 and 0, which are equal, and
// of several NaN the order is not defined.
struct Sort : OpBase<Sort> {
  static constexpr std::string_view op_name = "sort";
  TREADLE_RULES
};

// The positions (uint32) along the last axis at which the elements in order
// are.
struct ArgSort : OpBase<ArgSort> {
  static constexpr std::string_view op_name = "argsort";
  TREADLE_RULES
};

// The positions (uint32) along the last axis, so that the element at `kth` is
// where it is in order. The others are before or behind it as in order, each
// part in the order in which the elements lie.
struct ArgPartition : OpBase<ArgPartition> {
  static constexpr std::string_view op_name = "argpartition";
  int64_t kth = 0;
  auto sizes() const { return std::tie(kth); }
  TREADLE_RULES
};

// sequence (N), in ascending order, and values (...) of one dtype -> uint32
// (...): how many elements of the sequence come before each value, those equal
// to it too when `right`.
struct SearchSorted : OpBase<SearchSorted> {
  static constexpr std::string_view op_name = "searchsorted";
  bool right = false;
  auto fields() const { return std::tie(right); }
  TREADLE_RULES
};

// Axis none: of the flattened x.
array sort(const array& x, std::optional<int> axis = -1, StreamOrDevice s = {});
array argsort(const array& x,
              std::optional<int> axis = -1,
              StreamOrDevice s = {});
// Element kth (negative: from the end) where it is in order, no larger ones
// before it, no smaller ones behind. Of a short axis all are in order, which is
// as fast.
array partition(const array& x,
                int kth,
                std::optional<int> axis = -1,
                StreamOrDevice s = {});
array argpartition(const array& x,
                   int kth,
                   std::optional<int> axis = -1,
                   StreamOrDevice s = {});
// The k largest elements, ascending.
array topk(const array& x,
           int k,
           std::optional<int> axis = -1,
           StreamOrDevice s = {});
// The middle element, or the mean of the two in the middle; NaN where there is
// one; integers and bool become float32.
array median(const array& x,
             const AxisArg& axis = {},
             bool keepdims = false,
             StreamOrDevice s = {});
// Where to insert `values` so that the vector `sequence` stays in order: before
// the elements equal to them (side "left") or behind ("right").
array searchsorted(const array& sequence,
                   const array& values,
                   const std::string& side = "left",
                   StreamOrDevice s = {});

}  // namespace treadle
