// Reading and writing at an index, in all of NumPy's forms: positions, ranges,
// new axes, Ellipsis, integer arrays, bools and bool arrays, mixed.
//
//   array y = at(x, {0, Range{.step = -1}, NewAxis{}, rows});
//   x = update_at(x, {rows}, values, Update::add);
//
// Results have NumPy's shapes: integer arrays broadcast to each other, and
// their axes stand where the first of them stood, or in front when a range, a
// new axis or Ellipsis lies between two of them.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "treadle/graph/array.h"

namespace treadle {

// start:stop:step of Python.
struct Range {
  std::optional<int64_t> start = {}, stop = {};
  int64_t step = 1;
};
struct NewAxis {};   // None of Python
struct Ellipsis {};  // as many whole axes as are left

// One part of an index.
struct At {
  enum class Kind : uint8_t {
    position,
    range,
    new_axis,
    ellipsis,
    truth,
    array
  };
  Kind kind;
  int64_t position = 0;
  bool truth = false;
  Range range;
  treadle::array indices;  // integers, or bools as a mask of leading axes

  At(int i) : At(int64_t(i)) {}
  At(int64_t i) : kind(Kind::position), position(i) {}
  At(bool b) : kind(Kind::truth), truth(b) {}
  At(Range r) : kind(Kind::range), range(r) {}
  At(NewAxis) : kind(Kind::new_axis) {}
  At(Ellipsis) : kind(Kind::ellipsis) {}
  At(treadle::array a) : kind(Kind::array), indices(std::move(a)) {}
};
using Index = std::vector<At>;

// What happens to the elements at an index. Where integer arrays name one
// element several times, assign keeps the last value and the others apply all.
enum class Update : uint8_t {
  assign,
  add,
  subtract,
  multiply,
  divide,
  maximum,
  minimum
};

// x[index]. An integer outside its axis throws std::out_of_range, now for a
// position, when the value is computed for one in an array. Reading through a
// mask reads its values, since the result has one element for each true one:
// inside compile, vmap and scan that is an error for masks without value.
array at(const array& x, const Index& index);

// x with the elements at the index updated by `values`, which are cast to x's
// dtype and broadcast as in NumPy. Written in place when nothing else holds x
// by the time it is computed. Through a mask, values may have one entry for
// each true element, counted when the value is computed: no value is read,
// unless there are several masks or integer arrays beside it.
array update_at(const array& x,
                const Index& index,
                const array& values,
                Update how = Update::assign);

// The part of x of shape `size` that starts at start[k] on axis axes[k] and at
// 0 on the others. `start` holds integers, counted from the end if negative.
array slice_from(const array& x,
                 const array& start,
                 const Axes& axes,
                 const Shape& size,
                 StreamOrDevice s = {});
// x with `update` written there.
array slice_update_from(const array& x,
                        const array& update,
                        const array& start,
                        const Axes& axes,
                        StreamOrDevice s = {});

}  // namespace treadle
