// The kernels behind normalisation, against sums in long double.
#include "treadle/backend/cpu/moments.h"

#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "treadle/ops/moments.h"

#include "tests/backend/kernel_call.h"

namespace treadle::testing {
namespace {

namespace cpu = backend::cpu;

// (batches, rows, columns): no rest, columns that are no vector, more columns
// than a strip, more rows than a block.
const Shape kShapes[] = {
    {2, 16, 64}, {3, 7, 5}, {2, 150, 530}, {1, 9000, 3}, {2, 0, 4}, {0, 3, 4}};

// A statistic of each batch and column: f(visit) calls visit(i) for the
// elements that it is made of.
template <class F>
std::vector<double> by_column(const Shape& s, F f) {
  std::vector<double> out;
  for (int64_t b = 0; b < s[0]; ++b) {
    for (int64_t c = 0; c < s[2]; ++c) {
      out.push_back(double(f([&](auto visit) {
        for (int64_t r = 0; r < s[1]; ++r) visit((b * s[1] + r) * s[2] + c);
      })));
    }
  }
  return out;
}

void expect_near(const Tensor& got,
                 const std::vector<double>& want,
                 double size,
                 const std::string& what) {
  const std::vector<double> v = got.values();
  ASSERT_EQ(v.size(), want.size()) << what;
  for (size_t i = 0; i < v.size(); ++i) {
    if (std::isnan(want[i])) {
      EXPECT_TRUE(std::isnan(v[i])) << what;
    } else {
      ASSERT_NEAR(v[i], want[i], 0x1p-23 * (std::abs(want[i]) + size)) << what;
    }
  }
}

TEST(MomentKernels, AreAsGoodAsSumsInLongDouble) {
  Moments moments;
  CentredSums sums;
  moments.axes = sums.axes = {1};
  for (const Shape& shape : kShapes) {
    for (Dtype dtype : {float32, float16, bfloat16}) {
      // Far from zero, where a difference of squares would lose everything in
      // float.
      Tensor x = normal(dtype, shape, 1);
      if (dtype == float32) {
        const std::vector<double> v = x.values();
        x = tensor(dtype, shape, [&](int64_t i) { return v[i] + 3000; });
      }
      const Tensor ct = normal(dtype, shape, 2);
      const std::vector<double> xs = x.values(), cs = ct.values();
      const auto n = static_cast<long double>(shape[1]);
      auto mean_of = [&](auto each) {
        long double sum = 0;
        each([&](int64_t i) { sum += xs[i]; });
        return sum / n;
      };
      const std::vector<double> mean = by_column(shape, mean_of);
      const std::vector<double> var = by_column(shape, [&](auto each) {
        const long double m = mean_of(each);
        long double sum = 0;
        each([&](int64_t i) { sum += (xs[i] - m) * (xs[i] - m); });
        return sum / n;
      });
      std::vector<Tensor> one, two;
      for (int threads : {1, 2, 3, 4}) {
        const std::string what =
            fmt::format("{} {} {}", to_string(shape), name_of(dtype), threads);
        const auto got = call(cpu::moments(), moments, {x}, threads);
        expect_near(got[0], mean, 0, what + " mean");
        expect_near(got[1], var, 0, what + " variance");
        const auto g =
            call(cpu::centred_sums(), sums, {ct, x, got[0]}, threads);
        const std::vector<double> m = got[0].values();
        size_t at = 0;
        const auto products = by_column(shape, [&](auto each) {
          long double sum = 0;
          each([&](int64_t i) {
            sum += (long double)(cs[i]) * double(float(xs[i] - m[at]));
          });
          ++at;
          return sum;
        });
        expect_near(g[0], products, 1, what + " products");
        expect_near(g[1],
                    by_column(shape,
                              [&](auto each) {
                                long double sum = 0;
                                each([&](int64_t i) { sum += cs[i]; });
                                return sum;
                              }),
                    1,
                    what + " sums");
        if (threads == 1) {
          one = got, two = g;
        } else {
          for (size_t k = 0; k < 2; ++k) {
            EXPECT_EQ(one[k].memory, got[k].memory) << what;
            EXPECT_EQ(two[k].memory, g[k].memory) << what;
          }
        }
      }
    }
  }
}

TEST(MomentKernels, LeaveDoubleToTheExpansion) {
  Moments op;
  op.axes = {0};
  EXPECT_NE(why_not(cpu::moments(), op, {normal(float64, {4, 2}, 1)}), "");
  EXPECT_EQ(why_not(cpu::moments(), op, {normal(float32, {4, 2}, 1)}), "");
}

}  // namespace
}  // namespace treadle::testing
