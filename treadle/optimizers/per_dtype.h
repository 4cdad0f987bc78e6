// A scalar of the step in the dtypes of the parameters: converted once for each
// dtype, not once for each parameter.
#pragma once

#include <array>
#include <functional>
#include <utility>

#include "treadle/ops/views.h"

namespace treadle::optimizers {

class PerDtype {
 public:
  explicit PerDtype(array value)
      : make_([v = std::move(value)](Dtype d) { return astype(v, d); }) {}
  // For a scalar whose rounding depends on the dtype.
  explicit PerDtype(std::function<array(Dtype)> make)
      : make_(std::move(make)) {}

  const array& operator()(Dtype d) {
    array& there = made_[size_t(d)];
    if (there.null()) there = make_(d);
    return there;
  }
  const array& operator()(const array& like) { return (*this)(like.dtype()); }

 private:
  std::function<array(Dtype)> make_;
  std::array<array, kNumDtypes> made_;
};

}  // namespace treadle::optimizers
