// Functions that order, repeat and pick elements by position, made of views,
// ranges and comparisons: no op of their own.
#pragma once

#include <string>
#include <vector>

#include "treadle/graph/array.h"
#include "treadle/ops/reduce.h"

namespace treadle {

// `num` numbers from start to stop; stop is the last one when `endpoint`.
array linspace(double start,
               double stop,
               int num = 50,
               bool endpoint = true,
               Dtype dtype = float32,
               StreamOrDevice s = {});
// n x m, ones on and below diagonal k.
array tri(
    int n, int m, int k = 0, Dtype dtype = float32, StreamOrDevice s = {});
// x (..., N, M) with zeros above, or below, diagonal k.
array tril(const array& x, int k = 0, StreamOrDevice s = {});
array triu(const array& x, int k = 0, StreamOrDevice s = {});
// x (..., N, M, ...) -> (..., L): the elements [i, i + offset] of the two axes,
// moved last.
array diagonal(const array& x,
               int offset = 0,
               int axis1 = 0,
               int axis2 = 1,
               StreamOrDevice s = {});
// x (N): a matrix with x on diagonal k; x (N, M): that diagonal.
array diag(const array& x, int k = 0, StreamOrDevice s = {});
// Sum of a diagonal.
array trace(const array& x,
            int offset = 0,
            int axis1 = 0,
            int axis2 = 1,
            StreamOrDevice s = {});

// The elements in reverse along axes.
array flip(const array& x, const AxisArg& axis = {}, StreamOrDevice s = {});
// The elements moved on by shift[i] along axes[i]; those that leave come in at
// the other end. No axes: of the flattened x, by the sum of the shifts.
array roll(const array& x,
           const Shape& shift,
           const Axes& axes = {},
           StreamOrDevice s = {});
// Each slice along an axis `repeats` times, or each element of the flattened x.
array repeat(const array& x, int repeats, int axis, StreamOrDevice s = {});
array repeat(const array& x, int repeats, StreamOrDevice s = {});
// x reps[i] times along axis i; missing leading axes are added to either.
array tile(const array& x, const Shape& reps, StreamOrDevice s = {});
// x with elements of its own around: along axis i, low[i] before and high[i]
// behind. edge: the first and the last one; reflect: those beside them in
// reverse; symmetric: those and the outermost ones in reverse. Reflections are
// repeated as far as needed. Of an axis without elements there is nothing to
// reflect; edge gives zeros.
enum class PadMode : uint8_t { edge, reflect, symmetric };
array pad(const array& x,
          const Shape& low,
          const Shape& high,
          PadMode mode,
          StreamOrDevice s = {});
// The slices along an axis, without it.
Arrays unstack(const array& x, int axis = 0, StreamOrDevice s = {});
// Vectors as coordinates of a grid: output i is vector i along an axis of its
// own. `indexing` "xy" puts the first vector on the second axis, "ij" on the
// first. Sparse: the other axes have length 1.
Arrays meshgrid(const Arrays& vectors,
                bool sparse = false,
                const std::string& indexing = "xy",
                StreamOrDevice s = {});
// Differences of neighbours along an axis, taken `n` times; of bools, whether
// they differ.
array diff(const array& x, int n = 1, int axis = -1, StreamOrDevice s = {});
// x with axes of length 1 added until it has 1, 2 or 3: in front, but for two
// axes to three behind.
array atleast_1d(const array& x, StreamOrDevice s = {});
array atleast_2d(const array& x, StreamOrDevice s = {});
array atleast_3d(const array& x, StreamOrDevice s = {});

}  // namespace treadle
