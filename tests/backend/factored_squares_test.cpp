// Adafactor's sums of squares, against sums in long double.
#include "treadle/backend/cpu/factored_squares.h"

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "treadle/ops/factored_squares.h"

#include "tests/backend/kernel_call.h"

namespace treadle::testing {
namespace {

namespace cpu = backend::cpu;

constexpr double kEps = 1e-3, kKept = 0.25;

struct Wanted {
  std::vector<double> row, column, shares;
};

Wanted wanted(const Shape& s,
              const std::vector<double>& g,
              const std::vector<double>& old) {
  Wanted w;
  const int64_t m = s[1], n = s[2];
  for (int64_t b = 0; b < s[0]; ++b) {
    auto square = [&](int64_t i, int64_t j) {
      const long double v = g[size_t((b * m + i) * n + j)];
      return v * v;
    };
    for (int64_t i = 0; i < m; ++i) {
      long double sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += square(i, j);
      w.row.push_back(double(kKept * old[size_t(b * m + i)] +
                             (1 - kKept) * (sum / n + kEps)));
    }
    for (int64_t j = 0; j < n; ++j) {
      long double sum = 0, share = 0;
      for (int64_t i = 0; i < m; ++i) {
        sum += square(i, j);
        share += square(i, j) / w.row[size_t(b * m + i)];
      }
      w.column.push_back(double(sum / m));
      w.shares.push_back(double(share / m));
    }
  }
  return w;
}

void expect_near(const Tensor& got,
                 const std::vector<double>& want,
                 double tolerance,
                 const std::string& what) {
  const std::vector<double> v = got.values();
  ASSERT_EQ(v.size(), want.size()) << what;
  for (size_t i = 0; i < v.size(); ++i) {
    ASSERT_NEAR(v[i], want[i], tolerance * want[i]) << what << " " << i;
  }
}

// (matrices, m, n): single elements, rows and columns that are no multiple of
// what is done at once, one block of rows, several.
const Shape kShapes[] = {{1, 1, 1},
                         {2, 3, 5},
                         {1, 4, 64},
                         {3, 6, 83},
                         {1, 131, 200},
                         {2, 300, 17},
                         {1, 2100, 40}};

TEST(FactoredSquaresKernel, IsAsGoodAsSumsInLongDouble) {
  FactoredSquares op;
  op.eps = kEps;
  const Tensor kept = tensor(float32, {}, [](int64_t) { return kKept; });
  for (const Shape& s : kShapes) {
    const Tensor g = normal(float32, s, 1);
    const Tensor old = absolute(normal(float32, {s[0], s[1]}, 2));
    const Wanted w = wanted(s, g.values(), old.values());
    std::vector<Tensor> one;
    for (int threads : {1, 2, 4}) {
      const std::string what = fmt::format("{} {}", to_string(s), threads);
      const auto got =
          call(cpu::factored_squares(), op, {g, old, kept}, threads);
      expect_near(got[0], w.row, 0x1p-22, what + " row");
      expect_near(got[1], w.column, 0x1p-22, what + " column");
      expect_near(got[2], w.shares, 0x1p-21, what + " shares");
      if (threads == 1) one = got;
      for (size_t k = 0; k < 3; ++k) {
        EXPECT_EQ(one[k].memory, got[k].memory) << what;
      }
    }
  }
}

TEST(FactoredSquaresKernel, OfNothingIsNoNumber) {
  FactoredSquares op;
  const Tensor kept = tensor(float32, {}, [](int64_t) { return kKept; });
  const auto rows =
      call(cpu::factored_squares(),
           op,
           {normal(float32, {0, 3}, 1), normal(float32, {0}, 1), kept});
  for (double v : rows[1].values()) EXPECT_TRUE(std::isnan(v));
  const auto columns =
      call(cpu::factored_squares(),
           op,
           {normal(float32, {2, 0}, 1), normal(float32, {2}, 1), kept});
  for (double v : columns[0].values()) EXPECT_TRUE(std::isnan(v));
}

TEST(FactoredSquaresKernel, LeavesOtherTypesToTheExpansion) {
  FactoredSquares op;
  for (Dtype t : {float32, float64, float16, bfloat16}) {
    const std::string why =
        why_not(cpu::factored_squares(),
                op,
                {normal(t, {4, 2}, 1), normal(t, {4}, 1), normal(t, {}, 1)});
    EXPECT_EQ(why.empty(), t == float32) << name_of(t);
  }
}

}  // namespace
}  // namespace treadle::testing
