// Reading and writing at positions given by integer arrays. A negative index
// counts from the end; one outside its axis is an error when the value is
// computed, since only then the indices are known.
#pragma once

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle {

// What happens where an update meets the element already there. With assign, of
// several updates of one element the last in row order stays.
enum class ScatterMode : uint8_t { assign, add, multiply, maximum, minimum };
std::string_view name_of(ScatterMode mode);

// x (P..., N, Q...), indices (I...) -> (P..., I..., Q...): the slices of x at
// the indices along `axis`.
struct Take : OpBase<Take> {
  static constexpr std::string_view op_name = "take";
  int axis = 0;
  auto fields() const { return std::tie(axis); }
  TREADLE_RULES
};

// x (P..., N, Q...), indices (P..., M, Q...) -> (P..., M, Q...).
struct TakeAlongAxis : OpBase<TakeAlongAxis> {
  static constexpr std::string_view op_name = "take_along_axis";
  int axis = 0;
  auto fields() const { return std::tie(axis); }
  TREADLE_RULES
};

// The reverse of Take: x (P..., N, Q...), indices (I...), updates
// (P..., I..., Q...) of x's dtype -> x with the updates put at the indices.
// Written in place when nothing else holds x.
struct Scatter : OpBase<Scatter> {
  static constexpr std::string_view op_name = "scatter";
  int axis = 0;
  ScatterMode mode = ScatterMode::assign;
  auto fields() const { return std::tie(axis, mode); }
  TREADLE_RULES
};

// The reverse of TakeAlongAxis: x (P..., N, Q...), indices and updates
// (P..., M, Q...).
struct ScatterAlongAxis : OpBase<ScatterAlongAxis> {
  static constexpr std::string_view op_name = "scatter_along_axis";
  int axis = 0;
  ScatterMode mode = ScatterMode::assign;
  auto fields() const { return std::tie(axis, mode); }
  TREADLE_RULES
};

// Slices of x along `axis`, or elements of the flattened x.
array take(const array& x,
           const array& indices,
           int axis,
           StreamOrDevice s = {});
array take(const array& x, const array& indices, StreamOrDevice s = {});
// Elements of x, one for each index: result[i][j] = x[indices[i][j]][j] along
// axis 0. x and indices have as many axes and broadcast beyond `axis`.
array take_along_axis(const array& x,
                      const array& indices,
                      int axis,
                      StreamOrDevice s = {});
// x with `values` (broadcast to the indices) written where take_along_axis
// reads.
array put_along_axis(const array& x,
                     const array& indices,
                     const array& values,
                     int axis,
                     StreamOrDevice s = {});
// x with `updates` combined into the slices that take reads.
array scatter(const array& x,
              const array& indices,
              const array& updates,
              int axis,
              ScatterMode mode = ScatterMode::assign,
              StreamOrDevice s = {});
// x with `updates` combined into the elements that take_along_axis reads.
array scatter_along_axis(const array& x,
                         const array& indices,
                         const array& updates,
                         int axis,
                         ScatterMode mode = ScatterMode::assign,
                         StreamOrDevice s = {});

}  // namespace treadle
