// Calls one kernel on arrays that a test lays out as it likes, and checks that
// it writes nothing outside of its output and workspace.
#pragma once

#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "treadle/runtime/kernel.h"

namespace treadle::testing {

// An array with its own memory; the elements may lie in any order in it.
struct Tensor {
  Spec spec;
  Layout layout;
  std::vector<char> memory;

  runtime::Operand operand() const;
  int64_t size() const { return treadle::size_of(spec.shape); }
  // All elements in row order.
  std::vector<double> values() const;

  // The same memory under other axes, or a part of it.
  Tensor transposed(const Axes& axes) const;
  Tensor broadcast(const Shape& shape) const;
  Tensor every(int axis, int64_t step) const;
};

// Row-contiguous; f gives the element at each flat position.
Tensor tensor(Dtype dtype,
              const Shape& shape,
              const std::function<double(int64_t)>& f);
Tensor tensor(Dtype dtype, const Shape& shape, const std::vector<double>& v);
// Small integers, with which sums of products are exact in every dtype.
Tensor integers(Dtype dtype, const Shape& shape, unsigned seed, int limit = 2);
// Normal, rounded to the dtype.
Tensor normal(Dtype dtype, const Shape& shape, unsigned seed);
// The same value in the dtype's absolute value, elementwise.
Tensor absolute(const Tensor& x);

// Runs the kernel; fails the test when it writes outside. Strided inputs are
// copied first for a kernel that does not take them.
std::vector<Tensor> call(const runtime::Kernel& kernel,
                         const Op& op,
                         const std::vector<Tensor>& in,
                         int threads = 1);

// "" when the kernel takes the op, else its reason.
std::string why_not(const runtime::Kernel& kernel,
                    const Op& op,
                    const std::vector<Tensor>& in);

}  // namespace treadle::testing
