// Every kernel of matrix products against the reference kernel: on small
// integers, where all dtypes are exact, over shapes and layouts; and the
// rounding error on normal numbers.
#include "treadle/backend/cpu/matmul.h"

#include <cmath>
#include <tuple>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "treadle/backend/cpu/ref/matmul.h"
#include "treadle/ops/matmul.h"

#include "tests/backend/kernel_call.h"

namespace treadle::testing {
namespace {

namespace cpu = backend::cpu;

const std::vector<Dtype> kDtypes = {
    float32, float64, bfloat16, float16, complex64};

std::vector<runtime::Kernel> kernels() {
  return {cpu::onednn_matmul(), cpu::openblas_matmul(), cpu::own_matmul()};
}

Tensor reference(const Tensor& a, const Tensor& b) {
  return call(cpu::ref_matmul(), Matmul{}, {a, b})[0];
}

// Exact equality for all kernels that take the dtype, with 1 and 2 threads.
void expect_exact(const Tensor& a, const Tensor& b, const std::string& what) {
  const std::vector<double> want = reference(a, b).values();
  const int threads = 1 + int(a.spec.shape.back() % 2);  // some of each
  int taken = 0;
  for (const runtime::Kernel& k : kernels()) {
    if (!why_not(k, Matmul{}, {a, b}).empty()) continue;
    ++taken;
    EXPECT_EQ(call(k, Matmul{}, {a, b}, threads)[0].values(), want)
        << k.name << " " << to_string(a.spec) << " @ " << to_string(b.spec)
        << " " << what << ", threads=" << threads;
  }
  EXPECT_GT(taken, 0) << to_string(a.spec);
}

// A matrix (or batch of them) whose last two axes are stored by rows (0), by
// columns (1), or with gaps and backwards (2).
Tensor stored(Dtype dtype, Shape shape, int how, unsigned seed) {
  const int last = int(shape.size()) - 1;
  if (how == 0) return integers(dtype, shape, seed, 1);
  if (how == 1) {
    std::swap(shape[size_t(last)], shape[size_t(last - 1)]);
    Axes axes;
    for (int i = 0; i <= last; ++i) axes.push_back(i);
    std::swap(axes[size_t(last)], axes[size_t(last - 1)]);
    return integers(dtype, shape, seed, 1).transposed(axes);
  }
  shape[size_t(last)] *= 2;
  return integers(dtype, shape, seed, 1).every(last, 2).every(last - 1, -1);
}

TEST(MatmulKernels, AgreeWithTheReferenceOnAllShapesAndStorages) {
  struct {
    int64_t m, k, n;
  } const shapes[] = {{1, 1, 1},
                      {2, 3, 4},
                      {5, 7, 3},
                      {8, 8, 8},
                      {9, 5, 17},
                      {16, 16, 16},
                      {33, 15, 31},
                      {64, 40, 65},
                      {1, 37, 70},
                      {70, 37, 1},
                      {1, 100, 1},
                      {3, 1, 5},
                      {40, 64, 100},
                      {1, 2100, 130},
                      {130, 2100, 1},
                      {1, 5, 1100}};
  for (Dtype dtype : kDtypes) {
    for (auto [m, k, n] : shapes) {
      for (int how_a = 0; how_a < 3; ++how_a) {
        for (int how_b = 0; how_b < 3; ++how_b) {
          expect_exact(stored(dtype, {m, k}, how_a, 1),
                       stored(dtype, {k, n}, how_b, 2),
                       fmt::format("stored {} {}", how_a, how_b));
        }
      }
    }
  }
}

// A matrix that comes from memory is read as one stream: whole steps, a rest,
// and more than is converted at once. A sum of small integers must be exact.
TEST(MatmulKernels, OneRowTimesALargeMatrixByColumns) {
  for (Dtype dtype : {float32, float64, bfloat16, float16}) {
    for (auto [k, n] : {std::pair{int64_t{1037}, int64_t{600}},
                        std::pair{int64_t{4200}, int64_t{131}}}) {
      const Tensor b = integers(dtype, {n, k}, 7, 1).transposed({1, 0});
      const Tensor x = integers(dtype, {1, 2 * k}, 8, 1);
      expect_exact(x.every(1, 2), b, "a row with gaps");
      expect_exact(integers(dtype, {1, k}, 9, 1), b, "a row");
    }
  }
}

// Large enough to be cut into blocks of rows, the last one smaller, with the
// right factor packed and the left one turned.
TEST(MatmulKernels, AgreeWithTheReferenceWhenCutIntoBlocks) {
  for (Dtype dtype : {float32, bfloat16, float16}) {
    for (auto [how_a, how_b, n] :
         {std::tuple(0, 0, 330), {1, 0, 550}, {2, 1, 330}}) {
      expect_exact(stored(dtype, {300, 401}, how_a, 1),
                   stored(dtype, {401, n}, how_b, 2),
                   fmt::format("stored {} {}", how_a, how_b));
    }
  }
}

TEST(MatmulKernels, AgreeWithTheReferenceOnBatches) {
  for (Dtype dtype : kDtypes) {
    for (int64_t size : {3, 48}) {
      const Shape batch = {2, 3, size, size};
      const Tensor a = integers(dtype, batch, 1, 1),
                   b = integers(dtype, batch, 2, 1);
      expect_exact(a, b, "plain");
      expect_exact(
          a, integers(dtype, {size, size}, 3, 1).broadcast(batch), "one b");
      expect_exact(
          integers(dtype, {size, size}, 3, 1).broadcast(batch), b, "one a");
      expect_exact(integers(dtype, {3, size, size}, 3, 1).broadcast(batch),
                   b,
                   "a repeats");
      expect_exact(a,
                   integers(dtype, {2, 1, size, size}, 3, 1).broadcast(batch),
                   "b repeats");
      // Heads of attention: (B, T, H, D) seen as (B, H, T, D) and (B, H, D, T).
      const Tensor heads = integers(dtype, {2, size, 3, size}, 4, 1);
      expect_exact(heads.transposed({0, 2, 1, 3}),
                   heads.transposed({0, 2, 3, 1}),
                   "heads");
      expect_exact(a, heads.transposed({0, 2, 1, 3}), "weights of heads");
      expect_exact(a.every(1, -1), b.every(0, -1), "backwards");
      expect_exact(
          integers(dtype, {1}, 5, 1).broadcast(batch), b, "one number");
      expect_exact(integers(dtype, {2, 3, 1, size}, 6, 1), b, "one row");
      expect_exact(integers(dtype, {2, 3, 1, size}, 6, 1),
                   heads.transposed({0, 2, 3, 1}),
                   "one row of heads");
    }
  }
}

TEST(MatmulKernels, SumOfNothingIsZeroAndEmptyResultsAreLeftAlone) {
  for (Dtype dtype : kDtypes) {
    expect_exact(
        integers(dtype, {3, 0}, 1), integers(dtype, {0, 4}, 2), "k = 0");
    expect_exact(
        integers(dtype, {0, 3}, 1), integers(dtype, {3, 4}, 2), "m = 0");
    expect_exact(
        integers(dtype, {3, 4}, 1), integers(dtype, {4, 0}, 2), "n = 0");
    expect_exact(integers(dtype, {0, 3, 4}, 1),
                 integers(dtype, {0, 4, 2}, 2),
                 "batch = 0");
  }
}

TEST(MatmulKernels, RoundOnceOnTopOfTheErrorOfSums) {
  struct {
    int64_t m, k, n;
  } const shapes[] = {{20, 30, 25}, {1, 4096, 64}, {300, 500, 200}};
  for (Dtype dtype : {float32, float64, bfloat16, float16}) {
    const double sum_eps = dtype == float64 ? 0x1p-53 : 0x1p-24;
    const double eps = dtype == bfloat16  ? 0x1p-8
                       : dtype == float16 ? 0x1p-11
                                          : sum_eps;
    for (auto [m, k, n] : shapes) {
      const Tensor a = normal(dtype, {m, k}, 1), b = normal(dtype, {k, n}, 2);
      // In float64, so that the comparison sees the result's own rounding.
      auto wide = [](const Tensor& t) {
        const std::vector<double> v = t.values();
        return tensor(float64, t.spec.shape, v);
      };
      const std::vector<double> want = reference(wide(a), wide(b)).values();
      const std::vector<double> size =
          reference(wide(absolute(a)), wide(absolute(b))).values();
      for (const runtime::Kernel& kernel : kernels()) {
        if (!why_not(kernel, Matmul{}, {a, b}).empty()) continue;
        const std::vector<double> got =
            call(kernel, Matmul{}, {a, b})[0].values();
        double worst = 0;  // in units of the bound
        for (size_t i = 0; i < got.size(); ++i) {
          const double bound = eps * std::abs(want[i]) +
                               std::sqrt(double(k)) * sum_eps * size[i];
          worst = std::max(worst, std::abs(got[i] - want[i]) / bound);
        }
        EXPECT_LT(worst, 1.0)
            << kernel.name << " " << name_of(dtype) << " k=" << k;
      }
    }
  }
}

TEST(MatmulKernels, TakeNansAndInfinities) {
  const double inf = INFINITY;
  const Tensor a = tensor(float32, {2, 2}, {inf, 1, NAN, 0}),
               b = tensor(float32, {2, 2}, {1, 0, 2, 3});
  for (const runtime::Kernel& k : kernels()) {
    if (!why_not(k, Matmul{}, {a, b}).empty()) continue;
    const std::vector<double> y = call(k, Matmul{}, {a, b})[0].values();
    EXPECT_EQ(y[0], inf) << k.name;
    EXPECT_TRUE(std::isnan(y[1])) << k.name;  // inf * 0
    EXPECT_TRUE(std::isnan(y[2]) && std::isnan(y[3])) << k.name;
  }
}

TEST(MatmulKernels, SayWhyTheyDoNotTakeADtype) {
  const Tensor a = integers(float64, {2, 2}, 1);
  EXPECT_THAT(
      why_not(cpu::onednn_matmul(), Matmul{}, {a, a}),
      ::testing::AnyOf("takes float32, bfloat16 and float16, not float64",
                       "this build has no oneDNN"));
  const Tensor c = integers(complex64, {2, 2}, 1);
  EXPECT_EQ(why_not(cpu::own_matmul(), Matmul{}, {c, c}),
            "takes floating dtypes, not complex64");
}

}  // namespace
}  // namespace treadle::testing
