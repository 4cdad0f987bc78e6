#include "treadle/backend/cpu/move.h"

#include <cmath>

#include "treadle/backend/cpu/create.h"
#include "treadle/backend/cpu/ref/create.h"
#include "treadle/backend/cpu/ref/move.h"
#include "treadle/ops/create.h"
#include "treadle/ops/views.h"

#include "tests/backend/kernel_fixture.h"

namespace treadle::kernel_test {
namespace {

using backend::cpu::ref_copy;

// astype, by the reference.
template <class To, class From>
std::vector<To> converted(const std::vector<From>& values) {
  AsType op;
  op.dtype = dtype_of<To>;
  Tensor x = Tensor::of(values, {int64_t(values.size())});
  return run(backend::cpu::ref_astype(), op, {x})[0].values<To>();
}

// The values that MLX 0.32 gives on x86.
TEST(Convert, FloatingValuesAreTruncatedTowardsZero) {
  std::vector<double> x{-1.5, -1, 300.7, -300.7, 0.9, -0.9};
  EXPECT_EQ(converted<int32_t>(x),
            (std::vector<int32_t>{-1, -1, 300, -300, 0, 0}));
  EXPECT_EQ(converted<int8_t>(x), (std::vector<int8_t>{-1, -1, 44, -44, 0, 0}));
  EXPECT_EQ(converted<uint8_t>(x),
            (std::vector<uint8_t>{255, 255, 44, 212, 0, 0}));
  EXPECT_EQ(converted<uint32_t>(x),
            (std::vector<uint32_t>{
                4294967295u, 4294967295u, 300, 4294966996u, 0, 0}));
  EXPECT_EQ(converted<uint64_t>(x)[3], 18446744073709551316u);
}

TEST(Convert, ValuesThatDoNotFitHaveADefinedResult) {
  std::vector<float> x{NAN, INFINITY, -INFINITY, 3e9f, -3e9f, 1e19f};
  EXPECT_EQ(converted<int16_t>(x), (std::vector<int16_t>{0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(converted<int32_t>(x), std::vector<int32_t>(6, INT32_MIN));
  EXPECT_EQ(converted<int64_t>(x),
            (std::vector<int64_t>{INT64_MIN,
                                  INT64_MIN,
                                  INT64_MIN,
                                  3000000000,
                                  -3000000000,
                                  INT64_MIN}));
  EXPECT_EQ(converted<uint32_t>(x)[3], 3000000000u);
  EXPECT_EQ(converted<uint64_t>(x)[5], 9999999980506447872u);
}

TEST(Convert, AnythingButZeroIsTrue) {
  EXPECT_EQ(converted<bool>(std::vector<float>{0, -0.f, 0.1f, NAN}),
            (std::vector<bool>{false, false, true, true}));
  EXPECT_EQ(converted<bool>(std::vector<int64_t>{0, 256, int64_t{1} << 40}),
            (std::vector<bool>{false, true, true}));
  EXPECT_EQ(converted<bool>(std::vector<complex64_t>{{0, 0}, {0, 3}}),
            (std::vector<bool>{false, true}));
}

TEST(Convert, ComplexKeepsItsRealPart) {
  EXPECT_EQ(converted<int32_t>(std::vector<complex64_t>{{1.5f, 2}, {-2.5f, 0}}),
            (std::vector<int32_t>{1, -2}));
  EXPECT_EQ(converted<complex64_t>(std::vector<double>{2.5}),
            (std::vector<complex64_t>{{2.5f, 0}}));
}

TEST(Convert, HalvesRoundToNearestEven) {
  // 2049 and 2051 lie half way between float16 numbers.
  std::vector<float> x{2049, 2051, 65519, 65520, 1e-8f, NAN};
  auto h = converted<float16_t>(x);
  EXPECT_EQ(float(h[0]), 2048);
  EXPECT_EQ(float(h[1]), 2052);
  EXPECT_EQ(float(h[2]), 65504);
  EXPECT_EQ(float(h[3]), INFINITY);
  EXPECT_EQ(float(h[4]), 0);
  EXPECT_TRUE(std::isnan(float(h[5])));
  auto b = converted<bfloat16_t>(std::vector<float>{257, 259});
  EXPECT_EQ(float(b[0]), 256);
  EXPECT_EQ(float(b[1]), 260);
}

TEST(Convert, EveryPairOfDtypesKeepsSmallWholeNumbers) {
  for (Dtype from : kAllDtypes) {
    for (Dtype to : kAllDtypes) {
      if (from == bool_ || to == bool_) continue;
      Tensor x = Tensor::of<int64_t>({0, 1, 2, 100}, {4}),
             a = Tensor::empty(from, {4}), b = Tensor::empty(to, {4});
      ref_copy(x.x, a.x);
      ref_copy(a.x, b.x);
      EXPECT_EQ(b.values<int64_t>(), (std::vector<int64_t>{0, 1, 2, 100}))
          << name_of(from) << " to " << name_of(to);
    }
  }
}

// Layouts whose copy takes each of the roads: runs, broadcasts, transpositions
// with whole and cut tiles, single elements.
std::vector<Tensor> layouts(Dtype d) {
  auto n = [d](const Shape& s) { return Tensor::numbers(d, s); };
  return {
      n({}),
      n({1}),
      n({0, 3}),
      n({7}),
      n({1, 5, 1}),
      n({300, 1000}),
      n({5, 7}).transposed({1, 0}),
      n({131, 70}).transposed({1, 0}),
      n({128, 32}).transposed({1, 0}),
      n({300, 517}).transposed({1, 0}),
      n({3, 150, 70}).transposed({0, 2, 1}),
      n({3, 150, 70}).transposed({2, 1, 0}),
      n({3, 150, 70}).transposed({1, 0, 2}),
      n({4, 33, 5, 18}).transposed({3, 1, 2, 0}),
      n({4, 33, 5, 18}).transposed({0, 3, 2, 1}),
      n({2, 3, 4, 5, 6, 2}).transposed({5, 1, 3, 0, 2, 4}),
      n({40, 60}).sliced(1, 3, 2, 20),
      n({40, 60}).sliced(1, 59, -1, 60),
      n({40, 60}).sliced(0, 39, -3, 10).transposed({1, 0}),
      n({40, 60}).sliced(1, 5, 1, 3),
      n({40, 60}).sliced(1, 5, 1, 3).transposed({1, 0}),
      n({40, 1}).stretched(1, 60),
      n({1, 60}).stretched(0, 40),
      n({1, 1}).stretched(0, 40).stretched(1, 9),
      n({9, 1, 20}).stretched(1, 11).transposed({2, 1, 0}),
      n({300, 1}).stretched(1, 2),
      n({70, 50, 1}).stretched(2, 3),
      n({9000, 1}).stretched(1, 16),
      n({900, 20}).sliced(1, 3, 1, 4),
      n({40, 30, 20}).sliced(2, 3, 1, 8),
      n({400, 60}).sliced(1, 59, -3, 16),
  };
}

TEST(Copy, EveryLayoutAndWidthIsThatOfTheReference) {
  for (Dtype d : {bool_, bfloat16, float32, complex64}) {
    for (const Tensor& x : layouts(d)) {
      expect_same(backend::cpu::contiguous(),
                  backend::cpu::ref_contiguous(),
                  Contiguous{},
                  {x});
    }
  }
}

TEST(Copy, LargeTranspositionsThatBypassTheCachesAreRight) {
  for (Dtype d : {uint8, uint16, float32, float64}) {
    int64_t rows = 9000000 / int64_t(size_of(d)) / 1003;
    Tensor x = Tensor::numbers(d, {1003, rows}).transposed({1, 0});
    expect_same(backend::cpu::contiguous(),
                backend::cpu::ref_contiguous(),
                Contiguous{},
                {x});
  }
}

TEST(Copy, WritesIntoEveryLayout) {
  for (const Tensor& like : layouts(float32)) {
    bool repeats = false;
    for (int64_t s : like.x.strides) repeats = repeats || s == 0;
    if (repeats) continue;
    Tensor x = Tensor::numbers(float32, like.x.shape, 7);
    backend::cpu::copy(x.x, like.x, 3);
    EXPECT_EQ(like.bytes(), x.bytes()) << to_string(like.x.shape);
  }
}

SliceUpdate update_op(Shape start, Shape stop, Shape step) {
  SliceUpdate op;
  op.start = start;
  op.stop = stop;
  op.step = step;
  return op;
}

TEST(SliceUpdate, ReplacesTheSliceOnly) {
  Tensor x = Tensor::of<int32_t>({0, 1, 2, 3, 4, 5}, {2, 3});
  Tensor u = Tensor::of<int32_t>({10, 11, 12, 13}, {2, 2});
  auto op = update_op({0, 2}, {2, -1}, {1, -2});
  for (const Kernel& k :
       {backend::cpu::slice_update(), backend::cpu::ref_slice_update()}) {
    EXPECT_EQ(run(k, op, {x, u})[0].values<int32_t>(),
              (std::vector<int32_t>{11, 1, 10, 13, 4, 12}));
    EXPECT_EQ(x.values<int32_t>(), (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
  }
}

TEST(SliceUpdate, InPlaceWritesNothingElse) {
  for (const Kernel& k :
       {backend::cpu::slice_update(), backend::cpu::ref_slice_update()}) {
    Tensor x = Tensor::of<int32_t>({0, 1, 2, 3, 4, 5}, {6});
    Tensor u = Tensor::of<int32_t>({7, 8}, {2});
    Tensor y = run(k, update_op({3}, {5}, {1}), {x, u}, 2, true)[0];
    EXPECT_EQ(y.x.data, x.x.data);
    EXPECT_EQ(x.values<int32_t>(), (std::vector<int32_t>{0, 1, 2, 7, 8, 5}));
  }
}

TEST(SliceUpdate, InPlaceWithAnUpdateFromTheSameMemoryReadsBeforeItWrites) {
  for (const Kernel& k :
       {backend::cpu::slice_update(), backend::cpu::ref_slice_update()}) {
    Tensor x = Tensor::of<int32_t>({0, 1, 2, 3, 4, 5}, {6});
    Tensor u = x.sliced(0, 0, 1, 5);  // x[1:6] = x[0:5]
    run(k, update_op({1}, {6}, {1}), {x, u}, 1, true);
    EXPECT_EQ(x.values<int32_t>(), (std::vector<int32_t>{0, 0, 1, 2, 3, 4}));
  }
}

TEST(Pad, PutsZerosAround) {
  Pad op;
  op.low = {1, 0};
  op.high = {0, 2};
  Tensor x = Tensor::of<float>({1, 2, 3, 4}, {2, 2});
  EXPECT_EQ(run(backend::cpu::pad(), op, {x})[0].values<float>(),
            (std::vector<float>{0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0}));
}

TEST(Pad, IsThatOfTheReference) {
  for (Dtype d : {int8, float16, float32, complex64}) {
    for (const Tensor& x : layouts(d)) {
      Pad op;
      for (size_t i = 0; i < x.x.shape.size(); ++i) {
        op.low.push_back(int64_t(i * 2 % 3));
        op.high.push_back(int64_t((i + 1) % 3));
      }
      expect_same(backend::cpu::pad(), backend::cpu::ref_pad(), op, {x});
    }
  }
}

TEST(Concatenate, IsThatOfTheReference) {
  for (Dtype d : {bool_, bfloat16, float32, float64}) {
    for (const Tensor& x : layouts(d)) {
      for (size_t axis = 0; axis < x.x.shape.size(); ++axis) {
        Shape other = x.x.shape;
        other[axis] = 3;
        Shape none = x.x.shape;
        none[axis] = 0;
        Concatenate op;
        op.axis = int(axis);
        expect_same(
            backend::cpu::concatenate(),
            backend::cpu::ref_concatenate(),
            op,
            {x, Tensor::numbers(d, other, 5), Tensor::empty(d, none), x});
      }
    }
  }
}

Arange arange_of(Dtype dtype, double start, double step, int64_t count) {
  Arange op;
  op.dtype = dtype;
  op.start = start;
  op.step = step;
  op.count = count;
  return op;
}

template <class T>
std::vector<T> range(double start, double step, int64_t count) {
  const Arange op = arange_of(dtype_of<T>, start, step, count);
  return run(backend::cpu::ref_arange(), op, {})[0].values<T>();
}

TEST(Arange, RoundsEachFloatingValueOnce) {
  auto v = range<float>(0, 0.1, 10);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(v[size_t(i)], float(i * 0.1));
}

TEST(Arange, IntegersConvertStartAndStepFirstAndWrap) {
  EXPECT_EQ(range<int32_t>(0.5, 1, 5), (std::vector<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(range<uint8_t>(0, 7, 43)[42], 38);
  EXPECT_EQ(range<int64_t>(5, -2, 4), (std::vector<int64_t>{5, 3, 1, -1}));
  EXPECT_EQ(range<int32_t>(3, 1, 0).size(), 0u);
}

TEST(Arange, VectorsHaveTheBitsOfTheReferenceForAnyNumberOfThreads) {
  for (Dtype d : {float32, int32, uint32}) {
    // The last is written past the caches.
    for (int64_t count : {0, 1, 7, 16, 17, 1000, 300001, (9 << 18) + 5}) {
      for (auto [start, step] : {std::pair(0.0, 1.0),
                                 std::pair(-3.7, 0.1),
                                 std::pair(5.0, -1e4),
                                 std::pair(1e9, 3.5)}) {
        const Arange op = arange_of(d, start, step, count);
        const Tensor want = run(backend::cpu::ref_arange(), op, {})[0];
        for (int threads : {1, 2, 4}) {
          EXPECT_TRUE(run(backend::cpu::arange(), op, {}, threads)[0].bytes() ==
                      want.bytes())
              << name_of(d) << ' ' << count << ' ' << start;
        }
      }
    }
  }
}

}  // namespace
}  // namespace treadle::kernel_test
