#include "treadle/backend/cpu/cumulative.h"

#include <cmath>

#include "treadle/backend/cpu/ref/cumulative.h"
#include "treadle/ops/cumulative.h"

#include "tests/backend/kernel_fixture.h"

namespace treadle::kernel_test {

namespace {

using backend::cpu::cumulative;
using backend::cpu::ref_cumulative;

Cumulative walk(CumulativeKind kind, int axis, int way) {
  Cumulative op;
  op.kind_of = kind;
  op.axis = axis;
  op.reverse = way & 1;
  op.inclusive = !(way & 2);
  return op;
}

// Lengths around those of chains and blocks; rows and columns.
const std::pair<Shape, int> kShapes[] = {{{1}, 0},
                                         {{31}, 0},
                                         {{33}, 0},
                                         {{5, 100}, 1},
                                         {{4160}, 0},
                                         {{4161}, 0},
                                         {{32'769}, 0},
                                         {{150'001}, 0},
                                         {{3, 9000}, 1},
                                         {{200, 3}, 0},
                                         {{2, 50, 200}, 1}};

TEST(Cumulative, IntegersAreTheReferencesForAnyNumberOfThreads) {
  for (Dtype dtype : kAllDtypes) {
    if (is_inexact(dtype)) continue;
    for (auto kind : {CumulativeKind::sum,
                      CumulativeKind::prod,
                      CumulativeKind::max,
                      CumulativeKind::min}) {
      if (dtype == bool_ && kind == CumulativeKind::sum) continue;
      for (const auto& [shape, axis] : kShapes) {
        for (int way = 0; way < 4; ++way) {
          expect_same(cumulative(),
                      ref_cumulative(),
                      walk(kind, axis, way),
                      {Tensor::numbers(dtype, shape)});
        }
      }
    }
  }
}

TEST(Cumulative, FloatsHaveTheSameBitsForAnyNumberOfThreads) {
  for (Dtype dtype : {float16, bfloat16, float32, float64, complex64}) {
    for (auto kind : {CumulativeKind::sum,
                      CumulativeKind::prod,
                      CumulativeKind::max,
                      CumulativeKind::logsumexp}) {
      Cumulative op = walk(kind, 0, 0);
      // Whole numbers over 8 are rounded on the way in half types only.
      Tensor x = Tensor::numbers(dtype, {150'001});
      std::vector<char> one = run(cumulative(), op, {x}, 1)[0].bytes();
      for (int threads : {2, 5}) {
        EXPECT_TRUE(run(cumulative(), op, {x}, threads)[0].bytes() == one)
            << op.name() << " of " << name_of(dtype);
      }
    }
  }
}

TEST(Cumulative, SumsOfFloatsStayCloseToDoubles) {
  std::vector<float> v(200'000);
  for (size_t i = 0; i < v.size(); ++i) v[i] = 1.0f / float(i % 97 + 3);
  Tensor x = Tensor::of(v, {int64_t(v.size())});
  Tensor y = run(cumulative(), walk(CumulativeKind::sum, 0, 0), {x}, 2)[0];
  std::vector<float> got = y.values<float>();
  double sum = 0;
  for (size_t i = 0; i < v.size(); ++i) {
    sum += v[i];
    ASSERT_NEAR(got[i], sum, 2e-6 * sum) << i;
  }
}

TEST(Cumulative, WorksInTheMemoryOfItsInput) {
  for (const auto& [shape, axis] : kShapes) {
    for (int way = 0; way < 4; ++way) {
      Cumulative op = walk(CumulativeKind::sum, axis, way);
      auto want =
          run(cumulative(), op, {Tensor::numbers(int32, shape)})[0].bytes();
      for (int threads : {1, 3}) {
        Tensor x = Tensor::numbers(int32, shape);
        EXPECT_TRUE(run(cumulative(), op, {x}, threads, true)[0].bytes() ==
                    want);
      }
    }
  }
}

TEST(Cumulative, LogSumExpDoesNotOverflowAndKeepsInfinities) {
  const float inf = INFINITY;
  Tensor x = Tensor::of<float>({-inf, 1000, 1000, inf, inf, 0, NAN, 1}, {8});
  std::vector<float> y =
      run(cumulative(), walk(CumulativeKind::logsumexp, 0, 0), {x})[0]
          .values<float>();
  EXPECT_EQ(y[0], -inf);
  EXPECT_EQ(y[1], 1000);
  EXPECT_FLOAT_EQ(y[2], 1000 + std::log(2.0f));
  for (int i : {3, 4, 5}) EXPECT_EQ(y[size_t(i)], inf);
  for (int i : {6, 7}) EXPECT_TRUE(std::isnan(y[size_t(i)]));
}

}  // namespace
}  // namespace treadle::kernel_test
