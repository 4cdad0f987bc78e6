#include "treadle/backend/cpu/reduce.h"

#include <cmath>

#include "treadle/backend/cpu/arg_reduce.h"
#include "treadle/backend/cpu/ref/reduce.h"
#include "treadle/ops/arg_reduce.h"
#include "treadle/ops/reduce.h"

#include "tests/backend/kernel_fixture.h"

namespace treadle::kernel_test {
namespace {

using backend::cpu::arg_reduce;
using backend::cpu::ref_arg_reduce;

Tensor reduced(ReduceKind kind, const Axes& axes, const Tensor& x) {
  Reduce op;
  op.reduce = kind;
  op.axes = axes;
  return run(backend::cpu::ref_reduce(), op, {x})[0];
}

TEST(Reduce, SumsOverAnyAxesOfAnyLayout) {
  Tensor x = Tensor::of<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(reduced(ReduceKind::sum, {0}, x).values<float>(),
            (std::vector<float>{5, 7, 9}));
  EXPECT_EQ(reduced(ReduceKind::sum, {1}, x).values<float>(),
            (std::vector<float>{6, 15}));
  EXPECT_EQ(reduced(ReduceKind::sum, {0, 1}, x).values<float>(),
            (std::vector<float>{21}));
  EXPECT_EQ(reduced(ReduceKind::sum, {}, x).values<float>(), x.values<float>());
  EXPECT_EQ(reduced(ReduceKind::sum, {1}, x.transposed({1, 0})).values<float>(),
            (std::vector<float>{5, 7, 9}));
  EXPECT_EQ(
      reduced(ReduceKind::sum, {0}, x.sliced(1, 2, -2, 2)).values<float>(),
      (std::vector<float>{9, 5}));
  Tensor y = Tensor::numbers(int32, {2, 3, 4, 5});
  auto v = y.values<int32_t>();
  int32_t want = 0;
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 4; ++j) want += v[size_t(i * 60 + 1 * 20 + j * 5 + 3)];
  }
  EXPECT_EQ(reduced(ReduceKind::sum, {0, 2}, y).values<int32_t>()[1 * 5 + 3],
            want);
}

TEST(Reduce, NothingSumsToZeroAndMultipliesToOne) {
  Tensor x = Tensor::empty(float32, {2, 0});
  EXPECT_EQ(reduced(ReduceKind::sum, {1}, x).values<float>(),
            (std::vector<float>{0, 0}));
  EXPECT_EQ(reduced(ReduceKind::prod, {1}, x).values<float>(),
            (std::vector<float>{1, 1}));
  EXPECT_EQ(reduced(ReduceKind::sum, {0}, x).values<float>().size(), 0u);
  EXPECT_EQ(
      reduced(ReduceKind::sum, {}, Tensor::of<float>({3}, {})).values<float>(),
      (std::vector<float>{3}));
}

TEST(Reduce, SmallIntegersAreSummedIn32BitsAndLargeOnesWrap) {
  Tensor a =
      reduced(ReduceKind::sum, {0}, Tensor::of<uint8_t>({200, 100}, {2}));
  EXPECT_EQ(a.x.dtype, uint32);
  EXPECT_EQ(a.values<uint32_t>()[0], 300u);
  Tensor b =
      reduced(ReduceKind::sum, {0}, Tensor::of<int16_t>({-30000, -30000}, {2}));
  EXPECT_EQ(b.x.dtype, int32);
  EXPECT_EQ(b.values<int32_t>()[0], -60000);
  Tensor c =
      reduced(ReduceKind::sum, {0}, Tensor::of<bool>({true, false, true}, {3}));
  EXPECT_EQ(c.values<int32_t>()[0], 2);
  Tensor d = reduced(
      ReduceKind::prod, {0}, Tensor::of<int32_t>({1 << 20, 1 << 13}, {2}));
  EXPECT_EQ(d.values<int32_t>()[0], 0);
}

TEST(Reduce, HalvesAreSummedWidely) {
  std::vector<float16_t> v(4096, float16_t(1.0f));
  v.push_back(float16_t(0.5f));
  Tensor x = Tensor::of(v, {4097});
  // A float16 sum would stop at 2048.
  EXPECT_EQ(reduced(ReduceKind::sum, {0}, x).values<float>()[0], 4096);
}

TEST(Reduce, NaNWinsMaximumAndMinimum) {
  for (Dtype d : {float16, bfloat16, float32, float64}) {
    Tensor f = Tensor::of<float>({1, NAN, 2}, {3}), x = Tensor::empty(d, {3});
    backend::cpu::copy_strided(f.x, x.x);
    EXPECT_TRUE(
        std::isnan(reduced(ReduceKind::max, {0}, x).values<float>()[0]));
    EXPECT_TRUE(
        std::isnan(reduced(ReduceKind::min, {0}, x).values<float>()[0]));
  }
}

TEST(Reduce, ComplexNumbersCompareByRealThenImaginaryPart) {
  Tensor x = Tensor::of<complex64_t>({{1, 5}, {2, 1}, {2, 3}, {0, 9}}, {4});
  EXPECT_EQ(reduced(ReduceKind::max, {0}, x).values<complex64_t>()[0],
            complex64_t(2, 3));
  EXPECT_EQ(reduced(ReduceKind::min, {0}, x).values<complex64_t>()[0],
            complex64_t(0, 9));
  EXPECT_EQ(reduced(ReduceKind::prod, {0}, x.sliced(0, 0, 1, 2))
                .values<complex64_t>()[0],
            complex64_t(-3, 11));
}

TEST(Reduce, BoolMaximumIsAnyAndMinimumIsAll) {
  Tensor x = Tensor::of<bool>({true, false, true, true}, {2, 2});
  EXPECT_EQ(reduced(ReduceKind::max, {1}, x).values<bool>(),
            (std::vector<bool>{true, true}));
  EXPECT_EQ(reduced(ReduceKind::min, {1}, x).values<bool>(),
            (std::vector<bool>{false, true}));
}

// All sets of axes of x.
std::vector<Axes> subsets(size_t ndim) {
  std::vector<Axes> all;
  for (unsigned mask = 0; mask < 1u << ndim; ++mask) {
    Axes axes;
    for (size_t i = 0; i < ndim; ++i) {
      if (mask >> i & 1) axes.push_back(int(i));
    }
    all.push_back(axes);
  }
  return all;
}

TEST(Reduce, EveryKindOverAnyAxesOfAnyLayoutIsThatOfTheReference) {
  for (Dtype d : kAllDtypes) {
    auto n = [d](const Shape& s) { return Tensor::numbers(d, s); };
    for (const Tensor& x : {n({}),
                            n({1}),
                            n({700}),
                            n({3, 1, 5}),
                            n({4, 600, 3}),
                            n({2, 3, 4, 5}),
                            n({3, 90, 8, 4}),
                            n({3, 90, 8, 4}).sliced(2, 0, 2, 4),
                            n({30, 5, 40}).transposed({2, 0, 1}),
                            n({6, 1, 7}).stretched(1, 20),
                            n({50, 40}).sliced(1, 39, -2, 20),
                            n({2, 0, 3})}) {
      for (const Axes& axes : subsets(x.x.shape.size())) {
        bool nothing = false;
        for (int a : axes) nothing = nothing || x.x.shape[size_t(a)] == 0;
        for (ReduceKind kind : {ReduceKind::sum,
                                ReduceKind::prod,
                                ReduceKind::max,
                                ReduceKind::min}) {
          // Products of many numbers are rounded, in another order.
          if (kind == ReduceKind::prod && is_inexact(d) &&
              size_of(x.x.shape) > 5)
            continue;
          if (kind >= ReduceKind::max && nothing) continue;
          Reduce op;
          op.reduce = kind;
          op.axes = axes;
          expect_same(
              backend::cpu::reduce(), backend::cpu::ref_reduce(), op, {x});
        }
      }
    }
  }
}

TEST(Reduce, SumsOfFractionsAreAsGoodAsOneRounding) {
  std::vector<float> v(300 * 500);
  for (size_t i = 0; i < v.size(); ++i) v[i] = float(i % 1013) / 7;
  Reduce op;
  op.axes = {1};
  for (const Tensor& x : {Tensor::of(v, {3, 1000, 50}),
                          Tensor::of(v, {50, 1000, 3}).transposed({2, 1, 0})}) {
    auto got = run(backend::cpu::reduce(), op, {x}, 3)[0].values<float>();
    auto want = run(backend::cpu::ref_reduce(), op, {x})[0].values<float>();
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_LE(std::abs(got[i] - want[i]), 0x1p-23f * want[i]);
    }
  }
}

ArgReduce arg_op(ArgKind kind, int axis) {
  ArgReduce op;
  op.reduce = kind;
  op.axis = axis;
  return op;
}

std::vector<uint32_t> arg(const Kernel& k,
                          ArgKind kind,
                          const Tensor& x,
                          int axis) {
  return run(k, arg_op(kind, axis), {x})[0].values<uint32_t>();
}

TEST(ArgReduce, TheFirstOfEqualElementsCounts) {
  for (const Kernel& k : {arg_reduce(), ref_arg_reduce()}) {
    Tensor x = Tensor::of<int32_t>({1, 3, 3, 0, 0, 2}, {2, 3});
    EXPECT_EQ(arg(k, ArgKind::max, x, 1), (std::vector<uint32_t>{1, 2}));
    EXPECT_EQ(arg(k, ArgKind::min, x, 1), (std::vector<uint32_t>{0, 0}));
    EXPECT_EQ(arg(k, ArgKind::max, x, 0), (std::vector<uint32_t>{0, 0, 0}));
    EXPECT_EQ(arg(k, ArgKind::min, x, 0), (std::vector<uint32_t>{1, 1, 1}));
    Tensor zeros = Tensor::of<float>({-1, -0.f, 0, -0.f}, {4});
    EXPECT_EQ(arg(k, ArgKind::max, zeros, 0), (std::vector<uint32_t>{1}));
    Tensor flat = Tensor::of<float>({-0.f, 0, -0.f}, {3});
    EXPECT_EQ(arg(k, ArgKind::min, flat, 0), (std::vector<uint32_t>{0}));
  }
}

TEST(ArgReduce, TheFirstNaNIsBothLargestAndSmallest) {
  for (Dtype d : {float16, bfloat16, float32, float64}) {
    std::vector<float> v(50, 1);
    v[7] = INFINITY, v[8] = -INFINITY, v[40] = NAN, v[44] = -NAN;
    Tensor f = Tensor::of(v, {50}), x = Tensor::empty(d, {50});
    backend::cpu::copy_strided(f.x, x.x);
    for (const Kernel& k : {arg_reduce(), ref_arg_reduce()}) {
      EXPECT_EQ(arg(k, ArgKind::max, x, 0)[0], 40u) << k.name << name_of(d);
      EXPECT_EQ(arg(k, ArgKind::min, x, 0)[0], 40u) << k.name << name_of(d);
      EXPECT_EQ(arg(k, ArgKind::max, x.sliced(0, 0, 1, 30), 0)[0], 7u);
      EXPECT_EQ(arg(k, ArgKind::min, x.sliced(0, 0, 1, 30), 0)[0], 8u);
    }
  }
}

TEST(ArgReduce, TheSmallestIntegersAreFoundToo) {
  Tensor x = Tensor::of<int8_t>(std::vector<int8_t>(100, INT8_MIN), {100});
  Tensor columns =
      Tensor::of<int8_t>(std::vector<int8_t>(100, INT8_MIN), {50, 2});
  EXPECT_EQ(arg(arg_reduce(), ArgKind::max, x, 0)[0], 0u);
  EXPECT_EQ(arg(arg_reduce(), ArgKind::max, columns, 0),
            (std::vector<uint32_t>{0, 0}));
  Tensor u = Tensor::of<uint64_t>({5, UINT64_MAX, 0, UINT64_MAX}, {4});
  EXPECT_EQ(arg(arg_reduce(), ArgKind::max, u, 0)[0], 1u);
  EXPECT_EQ(arg(arg_reduce(), ArgKind::min, u, 0)[0], 2u);
}

TEST(ArgReduce, EveryShapeAndDtypeIsThatOfTheReference) {
  for (Dtype d : kAllDtypes) {
    if (d == complex64) continue;
    for (const Shape& shape : {Shape{1},
                               Shape{9},
                               Shape{10007},
                               Shape{3, 5000},
                               Shape{700, 33},
                               Shape{4, 5, 6},
                               Shape{2, 40, 600},
                               Shape{0, 3}}) {
      for (int axis = 0; axis < int(shape.size()); ++axis) {
        if (shape[size_t(axis)] == 0) continue;
        for (ArgKind kind : {ArgKind::max, ArgKind::min}) {
          expect_same(arg_reduce(),
                      ref_arg_reduce(),
                      arg_op(kind, axis),
                      {Tensor::numbers(d, shape)});
        }
      }
    }
  }
}

}  // namespace
}  // namespace treadle::kernel_test
