// Pooling kernels: the reference against stored exact results, the fast ones
// against the reference where every share is exact.
#include "treadle/backend/cpu/pool.h"

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "treadle/backend/cpu/ref/pool.h"
#include "treadle/ops/pool.h"

#include "tests/backend/kernel_call.h"
#include "tests/backend/pool_cases.h"

namespace treadle::testing {
namespace {

namespace cpu = backend::cpu;

constexpr Dtype kFloats[] = {float32, float64, bfloat16, float16};

struct Ops {
  Pool pool;
  MeanPoolGrad mean_grad;
  MaxPoolGrad max_grad;
  MaxPoolPick pick;

  Ops(const PoolWindows& w, bool mean, const Shape& x) {
    pool.pool = mean ? PoolKind::mean : PoolKind::max;
    pool.windows = mean_grad.windows = max_grad.windows = pick.windows = w;
    mean_grad.spatial = Shape(x.begin() + 1, x.end() - 1);
  }
};

struct Kernels {
  runtime::Kernel pool, mean_grad, max_grad, pick;
};
const Kernels kFast{cpu::pool(),
                    cpu::mean_pool_grad(),
                    cpu::max_pool_grad(),
                    cpu::max_pool_pick()};
const Kernels kReference{cpu::ref_pool(),
                         cpu::ref_mean_pool_grad(),
                         cpu::ref_max_pool_grad(),
                         cpu::ref_max_pool_pick()};

TEST(PoolKernels, GiveTheStoredResultsAndGradients) {
  for (const PoolCase& c : kPoolCases) {
    const Ops ops({c.size, c.stride, c.padding, c.padding}, c.mean, c.x);
    for (Dtype dtype : kFloats) {
      for (const Kernels* k : {&kReference, &kFast}) {
        const Tensor x = tensor(dtype, c.x, pool_x);
        const Tensor y = call(k->pool, ops.pool, {x})[0];
        EXPECT_EQ(y.spec.shape, c.y) << c.name;
        EXPECT_EQ(y.values(), c.result) << k->pool.name << " " << c.name;
        const Tensor ct = tensor(dtype, c.y, pool_ct);
        const Tensor g = c.mean
                             ? call(k->mean_grad, ops.mean_grad, {ct})[0]
                             : call(k->max_grad, ops.max_grad, {x, y, ct})[0];
        EXPECT_EQ(g.spec.shape, c.x) << c.name;
        EXPECT_EQ(g.values(), c.grad) << k->pool.name << " " << c.name;
      }
    }
  }
}

// Multiples of all counts that a window of 2 x 2 can have.
Tensor shares(Dtype dtype, const Shape& shape, unsigned seed) {
  const std::vector<double> v = integers(dtype, shape, seed).values();
  return tensor(dtype, shape, [&](int64_t i) { return 12 * v[size_t(i)]; });
}

void expect_exact(const PoolWindows& w,
                  const Shape& shape,
                  Dtype dtype,
                  const std::string& what) {
  const Tensor x = integers(dtype, shape, 1, 1);
  for (bool mean : {false, true}) {
    const Ops ops(w, mean, shape);
    const Tensor y = call(kReference.pool, ops.pool, {x})[0];
    const Tensor ct = shares(dtype, y.spec.shape, 2),
                 t = shares(dtype, shape, 3);
    for (int threads : {1, 2}) {
      EXPECT_EQ(call(kFast.pool, ops.pool, {x}, threads)[0].values(),
                y.values())
          << what;
      if (mean) {
        EXPECT_EQ(
            call(kFast.mean_grad, ops.mean_grad, {ct}, threads)[0].values(),
            call(kReference.mean_grad, ops.mean_grad, {ct})[0].values())
            << what;
      } else {
        EXPECT_EQ(
            call(kFast.max_grad, ops.max_grad, {x, y, ct}, threads)[0].values(),
            call(kReference.max_grad, ops.max_grad, {x, y, ct})[0].values())
            << what;
        EXPECT_EQ(call(kFast.pick, ops.pick, {x, y, t}, threads)[0].values(),
                  call(kReference.pick, ops.pick, {x, y, t})[0].values())
            << what;
      }
    }
  }
}

TEST(PoolKernels, FastOnesAgreeWithTheReferenceOnAllSizesAndThreads) {
  for (Dtype dtype : kFloats) {
    for (int64_t channels : {1, 3, 16, 33}) {
      for (int64_t stride : {1, 2, 3}) {
        for (int64_t pad : {0, 1, 3}) {
          const PoolWindows w{{2, 2}, {stride, 2}, {pad, 0}, {0, pad}};
          expect_exact(w,
                       {2, 7, 6, channels},
                       dtype,
                       fmt::format("{} channels {} stride {} pad {}",
                                   name_of(dtype),
                                   channels,
                                   stride,
                                   pad));
        }
      }
    }
    expect_exact({{4}, {1}, {0}, {0}}, {3, 9, 5}, dtype, "1d");
    expect_exact({{1, 2, 2}, {1, 2, 1}, {0, 1, 0}, {0, 0, 1}},
                 {1, 2, 4, 3, 2},
                 dtype,
                 "3d");
    for (int64_t channels : {1, 3, 33}) {
      expect_exact({{0, 0}, {4, 4}, {0, 0}, {0, 0}},
                   {2, 5, 6, channels},
                   dtype,
                   "an axis shared unequally");
    }
    expect_exact({{0}, {4}, {0}, {0}}, {3, 8, 5}, dtype, "shared equally");
    expect_exact({{0}, {5}, {0}, {0}}, {3, 3, 5}, dtype, "more than elements");
    expect_exact({{2, 0, 1}, {1, 2, 1}, {1, 0, 0}, {0, 0, 0}},
                 {1, 2, 3, 3, 2},
                 dtype,
                 "one of three axes shared");
  }
}

// Large enough for several blocks of rows and for threads.
TEST(PoolKernels, BlocksOfRowsMeetWithoutASeam) {
  for (Dtype dtype : {float32, bfloat16}) {
    expect_exact({{2, 2}, {1, 1}, {1, 1}, {0, 0}},
                 {2, 70, 65, 32},
                 dtype,
                 "overlapping");
    expect_exact({{2, 2}, {2, 2}, {0, 0}, {0, 0}},
                 {1, 71, 65, 32},
                 dtype,
                 "side by side");
    expect_exact(
        {{0, 0}, {46, 44}, {0, 0}, {0, 0}}, {1, 69, 66, 32}, dtype, "shared");
  }
}

TEST(PoolKernels, ANanFillsItsWindowAndTheGradientThere) {
  const Ops ops({{2}, {2}, {0}, {0}}, false, {1, 4, 1});
  for (const Kernels* k : {&kReference, &kFast}) {
    for (bool first : {false, true}) {
      const Tensor x = first ? tensor(float32, {1, 4, 1}, {NAN, 1, 3, 2})
                             : tensor(float32, {1, 4, 1}, {1, NAN, 3, 2});
      const Tensor y = call(k->pool, ops.pool, {x})[0];
      EXPECT_TRUE(std::isnan(y.values()[0])) << k->pool.name;
      EXPECT_EQ(y.values()[1], 3) << k->pool.name;
      const Tensor ct = tensor(float32, {1, 2, 1}, {1, 1});
      const std::vector<double> g =
          call(k->max_grad, ops.max_grad, {x, y, ct})[0].values();
      EXPECT_TRUE(std::isnan(g[0]) && std::isnan(g[1])) << k->pool.name;
      EXPECT_EQ(g[2], 1) << k->pool.name;
      EXPECT_EQ(g[3], 0) << k->pool.name;
    }
  }
}

TEST(PoolKernels, PaddingOfAMaximumIsBelowEverything) {
  const Ops ops({{3}, {1}, {3}, {0}}, false, {1, 2, 1});
  for (const Kernels* k : {&kReference, &kFast}) {
    const Tensor x = tensor(float32, {1, 2, 1}, {-5, -7});
    const std::vector<double> y = call(k->pool, ops.pool, {x})[0].values();
    EXPECT_EQ(y, (std::vector<double>{-INFINITY, -5, -5})) << k->pool.name;
  }
}

TEST(PoolKernels, MaximaOfIntegersAndBooleans) {
  const Ops ops({{2}, {1}, {1}, {0}}, false, {1, 3, 1});
  for (Dtype dtype : {int32, int8, uint8, int64, bool_}) {
    const Tensor x = tensor(dtype, {1, 3, 1}, {0, 1, 1});
    EXPECT_EQ(call(kReference.pool, ops.pool, {x})[0].values(),
              (std::vector<double>{0, 1, 1}))
        << name_of(dtype);
    EXPECT_EQ(why_not(kFast.pool, ops.pool, {x}), "takes one floating dtype");
  }
}

TEST(PoolKernels, EmptyInputsGiveEmptyResults) {
  expect_exact({{2}, {2}, {0}, {0}}, {0, 4, 3}, float32, "no image");
  expect_exact({{2}, {2}, {0}, {0}}, {2, 4, 0}, float32, "no channel");
}

}  // namespace
}  // namespace treadle::testing
