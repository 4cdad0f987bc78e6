#include "treadle/base/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "treadle/base/error.h"

namespace treadle {

std::string to_string(const Shape& shape) {
  if (shape.size() == 1) return fmt::format("({},)", shape[0]);
  return fmt::format("({})", fmt::join(shape.begin(), shape.end(), ", "));
}

std::string to_string(const Spec& spec) {
  return fmt::format("{} {}", name_of(spec.dtype), to_string(spec.shape));
}

Strides row_major_strides(const Shape& shape) {
  Strides strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

bool is_row_contiguous(const Shape& shape, const Strides& strides) {
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return size_of(shape) == 0;
    step *= shape[i];
  }
  return true;
}

Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  size_t lead = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t m = longer[lead + i], n = shorter[i];
    if (m == n) continue;
    if (m != 1 && n != 1) {
      invalid(op,
              fmt::format("shapes {} and {} cannot be broadcast: {} against {} "
                          "on axis {}; expected equal lengths or 1.",
                          to_string(a),
                          to_string(b),
                          a.size() >= b.size() ? m : n,
                          a.size() >= b.size() ? n : m,
                          lead + i));
    }
    out[lead + i] = m == 1 ? n : m;
  }
  return out;
}

int normalize_axis(std::string_view op, int axis, size_t ndim) {
  int n = int(ndim);
  if (axis < -n || axis >= n) {
    out_of_range(
        op,
        n == 0 ? fmt::format("axis {} for a scalar, which has no axis.", axis)
               : fmt::format("axis {} is out of bounds for an array "
                             "with {} dimensions; expected [{}, {}].",
                             axis,
                             n,
                             -n,
                             n - 1));
  }
  return axis < 0 ? axis + n : axis;
}

Axes normalize_axes(std::string_view op,
                    std::span<const int> axes,
                    size_t ndim) {
  Axes out;
  for (int axis : axes) out.push_back(normalize_axis(op, axis, ndim));
  std::sort(out.begin(), out.end());
  if (std::adjacent_find(out.begin(), out.end()) != out.end()) {
    invalid(op,
            fmt::format("axis given twice: ({}).",
                        fmt::join(axes.begin(), axes.end(), ", ")));
  }
  return out;
}

}  // namespace treadle
