// Running one kernel on arrays made by the test, without graph or planner.
#pragma once

#include <cstring>
#include <memory>
#include <ostream>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "treadle/backend/cpu/backend.h"
#include "treadle/runtime/kernel.h"

namespace treadle::kernel_test {

using runtime::Kernel;
using runtime::Operand;

// An operand and the memory that it lies in. Copies share the memory.
struct Tensor {
  std::shared_ptr<std::vector<char>> memory;
  Operand x;

  // Row-contiguous, filled with a pattern that no result should keep.
  static Tensor empty(Dtype dtype, const Shape& shape) {
    size_t bytes = size_t(size_of(shape)) * size_of(dtype);
    auto memory = std::make_shared<std::vector<char>>(bytes, char(0xcd));
    return {
        memory,
        Operand{memory->data(), dtype, shape, row_major_strides(shape), true}};
  }
  template <class T>
  static Tensor of(const std::vector<T>& values, const Shape& shape) {
    Tensor t = empty(dtype_of<T>, shape);
    EXPECT_EQ(int64_t(values.size()), size_of(shape));
    for (size_t i = 0; i < values.size(); ++i) {
      T v = values[i];
      std::memcpy(t.memory->data() + i * sizeof(T), &v, sizeof(T));
    }
    return t;
  }
  // Small whole numbers, -50 to 50, 0 to 100 for unsigned, the same on each
  // call.
  static Tensor numbers(Dtype dtype, const Shape& shape, uint32_t seed = 1) {
    Tensor wide = empty(int64, shape);
    auto* v = reinterpret_cast<int64_t*>(wide.memory->data());
    uint64_t state = seed * 2654435761u + 12345;
    for (int64_t i = 0; i < size_of(shape); ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      v[i] = int64_t((state >> 33) % 101) - (is_unsigned(dtype) ? 0 : 50);
      if (dtype == bool_) v[i] &= 1;
    }
    Tensor t = empty(dtype, shape);
    backend::cpu::copy_strided(wide.x, t.x);
    return t;
  }

  Tensor transposed(const Axes& axes) const {
    Tensor t = *this;
    for (size_t i = 0; i < axes.size(); ++i) {
      t.x.shape[i] = x.shape[size_t(axes[i])];
      t.x.strides[i] = x.strides[size_t(axes[i])];
    }
    return t.noticed();
  }
  // Elements start, start + step, ... of one axis.
  Tensor sliced(int axis, int64_t start, int64_t step, int64_t length) const {
    Tensor t = *this;
    size_t a = size_t(axis);
    if (length > 0) {
      t.x.data = static_cast<char*>(x.data) +
                 start * x.strides[a] * int64_t(size_of(x.dtype));
    }
    t.x.shape[a] = length;
    t.x.strides[a] *= step;
    return t.noticed();
  }
  Tensor stretched(int axis, int64_t length) const {
    Tensor t = *this;
    t.x.shape[size_t(axis)] = length;
    t.x.strides[size_t(axis)] = 0;
    return t.noticed();
  }
  Tensor noticed() const {
    Tensor t = *this;
    t.x.contiguous = is_row_contiguous(t.x.shape, t.x.strides);
    return t;
  }

  Spec spec() const { return {x.shape, x.dtype}; }
  // The elements in row order.
  template <class T>
  std::vector<T> values() const {
    Tensor t = empty(dtype_of<T>, x.shape);
    backend::cpu::copy_strided(x, t.x);
    std::vector<T> out;
    for (size_t i = 0; i < t.memory->size(); i += sizeof(T)) {
      T v;
      std::memcpy(&v, t.memory->data() + i, sizeof(T));
      out.push_back(v);
    }
    return out;
  }
  // The bytes of the elements in row order.
  std::vector<char> bytes() const {
    Tensor t = empty(x.dtype, x.shape);
    backend::cpu::copy_strided(x, t.x);
    return *t.memory;
  }
};

// Runs `kernel` into fresh outputs, or into input 0 when in_place.
inline std::vector<Tensor> run(const Kernel& kernel,
                               const Op& op,
                               const std::vector<Tensor>& inputs,
                               int threads = 1,
                               bool in_place = false) {
  Specs in;
  std::vector<Operand> operands;
  for (const Tensor& t : inputs) {
    in.push_back(t.spec());
    operands.push_back(t.x);
  }
  std::vector<Tensor> outputs;
  std::vector<Operand> results;
  Specs out = op.infer(in);
  if (kernel.why_not) {
    EXPECT_EQ(kernel.why_not(op, in, out), "");
  }
  for (const Spec& s : out) {
    outputs.push_back(in_place ? inputs[0] : Tensor::empty(s.dtype, s.shape));
    EXPECT_EQ(outputs.back().spec(), s);
    results.push_back(outputs.back().x);
  }
  runtime::Task task{op, operands, results, {}, nullptr, threads};
  std::vector<char> space;
  if (kernel.workspace) {
    space.resize(kernel.workspace(task) + 64);
    auto address = reinterpret_cast<uintptr_t>(space.data());
    task.workspace = reinterpret_cast<void*>((address + 63) / 64 * 64);
  }
  kernel.run(task);
  return outputs;
}

// Checks that `kernel` gives the very bytes of `reference`, for 1 to 5 threads.
inline void expect_same(const Kernel& kernel,
                        const Kernel& reference,
                        const Op& op,
                        const std::vector<Tensor>& inputs) {
  Tensor want = run(reference, op, inputs)[0];
  for (int threads : {1, 2, 5}) {
    Tensor got = run(kernel, op, inputs, threads)[0];
    EXPECT_TRUE(got.bytes() == want.bytes())
        << kernel.name << " differs from " << reference.name << " for "
        << to_string(inputs[0].spec()) << ", " << op.describe() << ", "
        << threads << " threads";
  }
}

inline constexpr Dtype kAllDtypes[] = {bool_,
                                       uint8,
                                       uint16,
                                       uint32,
                                       uint64,
                                       int8,
                                       int16,
                                       int32,
                                       int64,
                                       float16,
                                       bfloat16,
                                       float32,
                                       float64,
                                       complex64};

}  // namespace treadle::kernel_test
