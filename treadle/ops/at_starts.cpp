// Slices that start at computed positions, as reads and writes at an index.
#include <algorithm>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/at.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

struct From {
  Index index;
  Axes axes;  // of the sliced array: where the result's axes come from
};

// One array of positions for each axis in `axes`, so shaped that together they
// name a box.
From from_starts(std::string_view op,
                 const array& x,
                 const array& start,
                 const Axes& axes,
                 const Shape& size) {
  if (!is_integer(start.dtype()) || start.ndim() > 1 ||
      start.size() != int64_t(axes.size())) {
    invalid(op,
            fmt::format("start indices are {}; expected one integer for each "
                        "of {} axes.",
                        to_string(start.spec()),
                        axes.size()));
  }
  bool fits = int(size.size()) == x.ndim();
  for (size_t i = 0; fits && i < size.size(); ++i) {
    fits = size[i] >= 0 && size[i] <= x.shape()[i];
  }
  if (!fits) {
    invalid(op,
            fmt::format("a slice of shape {} does not fit an array of shape "
                        "{}.",
                        to_string(size),
                        to_string(x.shape())));
  }
  Axes sorted = normalize_axes(op, axes, x.shape().size());
  const bool apart =
      !sorted.empty() && sorted.back() - sorted[0] + 1 != int(sorted.size());
  From from;
  for (int64_t n : size) from.index.push_back(Range{0, n});
  const array starts = reshape(start, {-1});
  for (size_t i = 0; i < axes.size(); ++i) {
    const int axis = normalize_axis(op, axes[i], x.shape().size());
    const int64_t n = x.shape(axis);
    array first = slice(starts, {int64_t(i)}, {int64_t(i) + 1});
    if (first.dtype() != int64) first = astype(first, int32);
    array at = add(select(less(first, 0), add(first, n), first),
                   arange(size[size_t(axis)], first.dtype()));
    const auto place = std::ranges::find(sorted, axis);
    Shape shape(size_t(sorted.end() - place), 1);
    shape[0] = size[size_t(axis)];
    from.index[size_t(axis)] = reshape(at, shape);
  }
  if (apart) from.axes = sorted;
  for (int i = 0; i < x.ndim(); ++i) {
    if (!apart || std::ranges::count(sorted, i) == 0) from.axes.push_back(i);
  }
  return from;
}

}  // namespace

array slice_from(const array& x,
                 const array& start,
                 const Axes& axes,
                 const Shape& size,
                 StreamOrDevice s) {
  StreamScope scope(resolve(s));
  From from = from_starts("slice", x, start, axes, size);
  Axes back(from.axes.size(), 0);
  for (size_t i = 0; i < back.size(); ++i) back[size_t(from.axes[i])] = int(i);
  return transpose(at(x, from.index), back);
}

array slice_update_from(const array& x,
                        const array& update,
                        const array& start,
                        const Axes& axes,
                        StreamOrDevice s) {
  StreamScope scope(resolve(s));
  Shape size(
      x.shape().size() - std::min(x.shape().size(), update.shape().size()), 1);
  size.append(update.shape().begin(), update.shape().end());
  From from = from_starts("slice_update", x, start, axes, size);
  array values = transpose(reshape(update, size), from.axes);
  return update_at(x, from.index, values);
}

}  // namespace treadle
