#include "treadle/backend/cpu/ref/index.h"

#include <stdexcept>

#include "treadle/backend/cpu/scatter.h"
#include "treadle/backend/cpu/take.h"
#include "treadle/ops/index.h"

#include "tests/backend/kernel_fixture.h"

namespace treadle::kernel_test {
namespace {

using namespace backend::cpu;

template <class T>
T op_at(int axis) {
  T op;
  op.axis = axis;
  return op;
}
template <class T>
T op_at(int axis, ScatterMode mode) {
  T op = op_at<T>(axis);
  op.mode = mode;
  return op;
}

// Indices in [-length, length), the same on each call.
Tensor indices(const Shape& shape,
               int64_t length,
               Dtype dtype = int32,
               uint32_t seed = 3) {
  Tensor n = Tensor::numbers(int64, shape, seed);
  auto* v = reinterpret_cast<int64_t*>(n.memory->data());
  for (int64_t i = 0; i < size_of(shape); ++i) {
    v[i] = (v[i] * 7919 + i * 31) % length;
    if (is_unsigned(dtype) && v[i] < 0) v[i] += length;
  }
  Tensor t = Tensor::empty(dtype, shape);
  copy_strided(n.x, t.x);
  return t;
}

TEST(Take, ReplacesTheAxisByThoseOfTheIndices) {
  Tensor x =
      Tensor::of<int32_t>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {3, 4});
  Tensor i = Tensor::of<int32_t>({0, -1, 1, 2}, {2, 2});
  for (const Kernel& k : {take(), ref_take()}) {
    EXPECT_EQ(run(k, op_at<Take>(1), {x, i})[0].values<int32_t>(),
              (std::vector<int32_t>{0, 3, 1, 2, 4, 7, 5, 6, 8, 11, 9, 10}));
    Tensor one = Tensor::of<uint8_t>({2}, {});
    EXPECT_EQ(run(k, op_at<Take>(0), {x, one})[0].values<int32_t>(),
              (std::vector<int32_t>{8, 9, 10, 11}));
  }
}

TEST(Take, AnIndexOutsideTheAxisIsAnError) {
  Tensor x = Tensor::numbers(float32, {1000, 8});
  for (int64_t bad : {1000, -1001}) {
    Tensor i = Tensor::of<int64_t>(std::vector<int64_t>(50000, 1), {50000});
    reinterpret_cast<int64_t*>(i.memory->data())[40000] = bad;
    for (const Kernel& k : {take(), ref_take()}) {
      for (int threads : {1, 4}) {
        try {
          run(k, op_at<Take>(0), {x, i}, threads);
          FAIL() << "no error";
        } catch (const std::out_of_range& e) {
          EXPECT_EQ(
              std::string(e.what()),
              "[take] index " + std::to_string(bad) +
                  " is out of bounds for an axis of length 1000; expected "
                  "[-1000, 999].");
        }
      }
    }
  }
}

TEST(Take, VectorsFindAnIndexOutside) {
  Tensor x = Tensor::numbers(float32, {1000});
  for (int64_t at : {0, 40, 99}) {
    Tensor i = Tensor::of<int32_t>(std::vector<int32_t>(100, -1000), {100});
    EXPECT_EQ(run(take(), op_at<Take>(0), {x, i})[0].values<float>()[99],
              x.values<float>()[0]);
    for (int32_t bad : {1000, -1001, INT32_MAX, INT32_MIN}) {
      reinterpret_cast<int32_t*>(i.memory->data())[at] = bad;
      EXPECT_THROW(run(take(), op_at<Take>(0), {x, i}), std::out_of_range)
          << bad << " at " << at;
    }
  }
}

TEST(TakeAlongAxis, ReadsOneElementPerIndex) {
  Tensor x =
      Tensor::of<int32_t>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {3, 4});
  for (const Kernel& k : {take_along_axis(), ref_take_along_axis()}) {
    EXPECT_EQ(run(k,
                  op_at<TakeAlongAxis>(1),
                  {x, Tensor::of<int32_t>({0, 1, -1}, {3, 1})})[0]
                  .values<int32_t>(),
              (std::vector<int32_t>{0, 5, 11}));
    EXPECT_EQ(run(k,
                  op_at<TakeAlongAxis>(0),
                  {x, Tensor::of<int32_t>({0, 1, 2, 0}, {1, 4})})[0]
                  .values<int32_t>(),
              (std::vector<int32_t>{0, 5, 10, 3}));
  }
}

// Sources and index arrays of all kinds of layout: for Take, on each axis.
std::vector<Tensor> sources(Dtype d) {
  return {Tensor::numbers(d, {5}),
          Tensor::numbers(d, {50, 64}),
          Tensor::numbers(d, {64, 50}).transposed({1, 0}),
          Tensor::numbers(d, {6, 30, 7}),
          Tensor::numbers(d, {6, 30, 7}).transposed({1, 2, 0}),
          Tensor::numbers(d, {6, 1, 7}).stretched(1, 9),
          Tensor::numbers(d, {200, 5}).sliced(0, 199, -2, 90)};
}

TEST(Take, EveryLayoutIsThatOfTheReference) {
  for (Dtype d : {bool_, bfloat16, float32, complex64}) {
    for (const Tensor& x : sources(d)) {
      for (int axis = 0; axis < int(x.x.shape.size()); ++axis) {
        int64_t n = x.x.shape[size_t(axis)];
        for (const Tensor& i : {indices({}, n),
                                indices({1}, n),
                                indices({0}, n),
                                indices({700}, n, int16),
                                indices({31, 40}, n, uint32),
                                indices({40, 31}, n).transposed({1, 0}),
                                indices({3, 1, 2}, n, int64).stretched(1, 5)}) {
          expect_same(take(), ref_take(), op_at<Take>(axis), {x, i});
        }
      }
    }
  }
}

TEST(TakeAlongAxis, EveryLayoutIsThatOfTheReference) {
  for (Dtype d : {uint8, float16, float32, float64}) {
    for (const Tensor& x : sources(d)) {
      for (int axis = 0; axis < int(x.x.shape.size()); ++axis) {
        int64_t n = x.x.shape[size_t(axis)];
        for (int64_t m : {0, 1, 3, 600}) {
          Shape shape = x.x.shape;
          shape[size_t(axis)] = m;
          expect_same(take_along_axis(),
                      ref_take_along_axis(),
                      op_at<TakeAlongAxis>(axis),
                      {x, indices(shape, n)});
        }
      }
    }
  }
}

TEST(Scatter, CombinesTheUpdatesInRowOrder) {
  Tensor x = Tensor::of<float>({0, 1, 2, 3}, {4});
  Tensor i = Tensor::of<int32_t>({1, -1, 1}, {3});
  Tensor u = Tensor::of<float>({10, 20, 30}, {3});
  auto result = [&](const Kernel& k, ScatterMode mode) {
    return run(k, op_at<Scatter>(0, mode), {x, i, u})[0].values<float>();
  };
  for (const Kernel& k : {scatter(), ref_scatter()}) {
    EXPECT_EQ(result(k, ScatterMode::assign),
              (std::vector<float>{0, 30, 2, 20}));
    EXPECT_EQ(result(k, ScatterMode::add), (std::vector<float>{0, 41, 2, 23}));
    EXPECT_EQ(result(k, ScatterMode::multiply),
              (std::vector<float>{0, 300, 2, 60}));
    EXPECT_EQ(result(k, ScatterMode::maximum),
              (std::vector<float>{0, 30, 2, 20}));
    EXPECT_EQ(result(k, ScatterMode::minimum),
              (std::vector<float>{0, 1, 2, 3}));
  }
  EXPECT_EQ(x.values<float>(), (std::vector<float>{0, 1, 2, 3}));
}

TEST(Scatter, InPlaceKeepsTheMemoryAndReadsUpdatesBeforeWriting) {
  for (const Kernel& k : {scatter(), ref_scatter()}) {
    Tensor x = Tensor::of<int32_t>({0, 1, 2, 3}, {4});
    Tensor i = Tensor::of<int32_t>({1, 2, 3}, {3});
    Tensor u = x.sliced(0, 0, 1, 3);  // x[1:4] = x[0:3]
    run(k, op_at<Scatter>(0, ScatterMode::assign), {x, i, u}, 1, true);
    EXPECT_EQ(x.values<int32_t>(), (std::vector<int32_t>{0, 0, 1, 2}));
  }
}

TEST(Scatter, HalvesAreAddedUpInFloat32) {
  std::vector<float16_t> ones(4096, float16_t(1));
  for (const Kernel& k : {scatter(), ref_scatter()}) {
    Tensor y = run(k,
                   op_at<Scatter>(0, ScatterMode::add),
                   {Tensor::of<float16_t>({float16_t(0.5f), float16_t(2)}, {2}),
                    Tensor::of(std::vector<int32_t>(4096, 1), {4096}),
                    Tensor::of(ones, {4096})},
                   3)[0];
    // A float16 sum would stop at 2048.
    EXPECT_EQ(y.values<float>(), (std::vector<float>{0.5, 4096}));
  }
}

// Updates with many bits, so that another order of additions shows.
Tensor fractions(Dtype d, const Shape& shape) {
  Tensor n = Tensor::numbers(float64, shape, 9), t = Tensor::empty(d, shape);
  auto* v = reinterpret_cast<double*>(n.memory->data());
  for (int64_t i = 0; i < size_of(shape); ++i)
    v[i] = v[i] / 7 + double(i % 13) / 3;
  copy_strided(n.x, t.x);
  return t;
}

TEST(Scatter, EveryLayoutHasTheBitsOfTheReferenceForAnyNumberOfThreads) {
  for (Dtype d :
       {bool_, int8, uint16, int64, float16, bfloat16, float32, complex64}) {
    for (const Tensor& x : sources(d)) {
      for (int axis = 0; axis < int(x.x.shape.size()); ++axis) {
        size_t a = size_t(axis);
        int64_t n = x.x.shape[a];
        for (const Tensor& i :
             {indices({}, n),
              indices({0}, n),
              indices({700}, n),
              indices({40, 31}, n, int64).transposed({1, 0})}) {
          Shape shape(x.x.shape.begin(), x.x.shape.begin() + axis);
          shape.append(i.x.shape.begin(), i.x.shape.end());
          shape.append(x.x.shape.begin() + axis + 1, x.x.shape.end());
          Tensor u = fractions(d, shape);
          for (ScatterMode mode : {ScatterMode::assign,
                                   ScatterMode::add,
                                   ScatterMode::multiply,
                                   ScatterMode::maximum,
                                   ScatterMode::minimum}) {
            const auto op = op_at<Scatter>(axis, mode);
            const Spec spec{x.x.shape, d};
            if (!scatter().why_not(op, {&spec, 1}, {}).empty()) continue;
            expect_same(scatter(), ref_scatter(), op, {x, i, u});
          }
          Shape ones(shape.size(), 1);
          Tensor same = fractions(d, ones);
          for (size_t k = 0; k < shape.size(); ++k)
            same = same.stretched(int(k), shape[k]);
          expect_same(scatter(),
                      ref_scatter(),
                      op_at<Scatter>(axis, ScatterMode::add),
                      {x, i, same});
        }
      }
    }
  }
}

TEST(Scatter, ManyUpdatesOfFewRowsHaveTheBitsOfTheReference) {
  for (Dtype d : {bfloat16, float32}) {
    for (int64_t inner : {1, 3, 100, 1500}) {
      Tensor x = fractions(d, {17, inner}), i = indices({3000}, 17);
      expect_same(scatter(),
                  ref_scatter(),
                  op_at<Scatter>(0, ScatterMode::add),
                  {x, i, fractions(d, {3000, inner})});
    }
    Tensor x = fractions(d, {100000}), i = indices({3000}, 100000);
    expect_same(scatter(),
                ref_scatter(),
                op_at<Scatter>(0, ScatterMode::add),
                {x, i, fractions(d, {3000})});
  }
}

TEST(ScatterAlongAxis,
     EveryLayoutHasTheBitsOfTheReferenceForAnyNumberOfThreads) {
  for (Dtype d : {bool_, int32, float16, bfloat16, float32, float64}) {
    for (const Tensor& x : sources(d)) {
      for (int axis = 0; axis < int(x.x.shape.size()); ++axis) {
        int64_t n = x.x.shape[size_t(axis)];
        for (int64_t m : {0, 1, 3, 600}) {
          Shape shape = x.x.shape;
          shape[size_t(axis)] = m;
          for (ScatterMode mode : {ScatterMode::assign, ScatterMode::add}) {
            expect_same(scatter_along_axis(),
                        ref_scatter_along_axis(),
                        op_at<ScatterAlongAxis>(axis, mode),
                        {x, indices(shape, n), fractions(d, shape)});
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace treadle::kernel_test
