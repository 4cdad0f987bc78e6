// Pooling: a maximum or a mean over windows of 1, 2 or 3 spatial axes, channels
// last. Where several elements of a window are its maximum, they share the
// gradient equally.
#pragma once

#include <string_view>
#include <tuple>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle {

enum class PoolKind : uint8_t { max, mean };

// One entry for each spatial axis. Window `o` begins at o * stride - low.
// Padding is the lowest value for a maximum and zero for a mean, and counts.
// A size of 0 says that an axis of n elements is shared by `stride` windows,
// without padding: window o is [floor(o n / stride), ceil((o + 1) n / stride)).
// Unless they divide n, they differ in size and neighbours may overlap.
struct PoolWindows {
  Shape size, stride, low, high;

  size_t spatial() const { return size.size(); }
  bool shared(size_t axis) const { return size[axis] == 0; }
  auto tie() const { return std::tie(size, stride, low, high); }
  // Spatial lengths of the result; throws when no window fits.
  Shape output(const Shape& input) const;
};

// x (N, ..., C) -> (N, ..., C) with one element for each window.
struct Pool : OpBase<Pool> {
  static constexpr std::string_view op_name = "pool";
  PoolKind pool = PoolKind::max;
  PoolWindows windows;
  auto fields() const { return std::tuple_cat(std::tie(pool), windows.tie()); }
  TREADLE_RULES
};

// ct -> the cotangent of the input of a mean, whose spatial lengths are
// `spatial`.
struct MeanPoolGrad : OpBase<MeanPoolGrad> {
  static constexpr std::string_view op_name = "mean_pool_grad";
  PoolWindows windows;
  Shape spatial;
  auto fields() const { return windows.tie(); }
  auto sizes() const { return std::tie(spatial); }
  TREADLE_RULES
};

// x, y = max_pool(x), ct -> the cotangent of x.
struct MaxPoolGrad : OpBase<MaxPoolGrad> {
  static constexpr std::string_view op_name = "max_pool_grad";
  PoolWindows windows;
  auto fields() const { return windows.tie(); }
  TREADLE_RULES
};

// x, y = max_pool(x), t like x -> the mean of t over each window's maxima: the
// tangent of y.
struct MaxPoolPick : OpBase<MaxPoolPick> {
  static constexpr std::string_view op_name = "max_pool_pick";
  PoolWindows windows;
  auto fields() const { return windows.tie(); }
  TREADLE_RULES
};

// x (N, ..., C) with 1 to 3 spatial axes. A list has one entry for all of them
// or one for each; `stride` is the window's size when empty. Windows that would
// reach over the padded end are left out.
array max_pool(const array& x,
               const Shape& window,
               const Shape& stride = {},
               const Shape& padding = {},
               StreamOrDevice s = {});
// Integers become float32.
array avg_pool(const array& x,
               const Shape& window,
               const Shape& stride = {},
               const Shape& padding = {},
               StreamOrDevice s = {});

// x (N, ..., C) -> (N, size ..., C): each spatial axis of n elements becomes m
// windows, of which window o is [floor(o n / m), ceil((o + 1) n / m)). `size`
// has one entry for all axes or one for each.
array shared_pool(PoolKind kind,
                  const array& x,
                  const Shape& size,
                  StreamOrDevice s = {});

}  // namespace treadle
