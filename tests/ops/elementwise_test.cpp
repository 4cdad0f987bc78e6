// Rules of elementwise operations that the case table does not reach.
#include "treadle/ops/elementwise.h"

#include <cmath>
#include <stdexcept>

#include <gtest/gtest.h>

#include "treadle/ops/create.h"
#include "treadle/ops/reinterpret.h"
#include "treadle/ops/views.h"

namespace treadle {
namespace {

TEST(ElementwiseRules, InvertingBoolsIsLogicalNot) {
  array x = ~array({true, false});
  EXPECT_EQ(x.dtype(), bool_);
  EXPECT_EQ(x.to_vector<int>(), (std::vector<int>{0, 1}));
}

TEST(ElementwiseRules, ShiftingBoolsGivesBytes) {
  array x = left_shift(array({true, false}), array({true, true}));
  EXPECT_EQ(x.dtype(), uint8);
  EXPECT_EQ(x.to_vector<int>(), (std::vector<int>{2, 0}));
}

TEST(ElementwiseRules, ANumberMustFitTheIntegerTypeItTakes) {
  array bytes = array::from(std::vector<uint8_t>{1, 2}.data(), {2});
  EXPECT_THROW(bytes + 300, std::invalid_argument);
  EXPECT_THROW(bytes + -1, std::invalid_argument);
  EXPECT_THROW(array({1, 2}) + (int64_t(1) << 40), std::invalid_argument);
  EXPECT_THROW(equal(bytes, 256), std::invalid_argument);
  EXPECT_EQ((bytes + 255).dtype(), uint8);
  EXPECT_EQ((bytes + 300.0).dtype(), float32);
  EXPECT_EQ((array({1.0f}) + (int64_t(1) << 40)).dtype(), float32);
}

TEST(ElementwiseRules, FitsKnowsTheLimitsOfEveryIntegerType) {
  for (int i = 0; i < kNumDtypes; ++i) {
    Dtype d = static_cast<Dtype>(i);
    visit_dtype(d, [&]<class T>() {
      if constexpr (std::is_integral_v<T> && sizeof(T) < 8 &&
                    !std::is_same_v<T, bool>) {
        int64_t low = std::numeric_limits<T>::min();
        int64_t high = std::numeric_limits<T>::max();
        EXPECT_TRUE(Scalar(low).fits(d) && Scalar(high).fits(d));
        EXPECT_FALSE(Scalar(low - 1).fits(d) || Scalar(high + 1).fits(d));
      }
    });
  }
  EXPECT_FALSE(Scalar(-1).fits(uint64));
  EXPECT_TRUE(Scalar(std::numeric_limits<int64_t>::min()).fits(int64));
  EXPECT_TRUE(Scalar(1000).fits(bool_) && Scalar(1.5).fits(int8));
}

// All 65,536 values of both half types: the float32 result, rounded once.
TEST(ElementwiseRules, HalvesAreGoodToALittleMoreThanHalfAnUlp) {
  array bits = astype(arange(65'536), uint16);
  for (auto [dtype, digits, lowest] :
       {std::tuple{float16, 11, -24}, {bfloat16, 8, -133}}) {
    array x = view(bits, dtype), wide = astype(x, float64);
    for (int i = 0; i < kNumRows; ++i) {
      const Row row = static_cast<Row>(i);
      if (info(row).arity != 1 || info(row).rule == Rule::integer ||
          info(row).rule == Rule::logical) {
        continue;
      }
      const Term half[] = {x}, exact[] = {wide};
      std::vector<double> got = apply_row(row, half).to_vector<double>(),
                          want = apply_row(row, exact).to_vector<double>();
      double worst = 0;
      size_t at = 0;
      for (size_t k = 0; k < got.size(); ++k) {
        if (std::isnan(want[k])) {
          EXPECT_TRUE(std::isnan(got[k])) << info(row).name << " " << k;
          continue;
        }
        // Beyond the largest half is infinity.
        if (std::isinf(got[k])) {
          const double most = dtype == float16 ? 65'504 : 0x1.fep127;
          EXPECT_TRUE(std::abs(want[k]) > most) << info(row).name << " " << k;
          continue;
        }
        int exponent;
        std::frexp(want[k], &exponent);
        double ulp = std::ldexp(1.0, std::max(exponent - digits, lowest));
        double error = std::abs(got[k] - want[k]) / ulp;
        if (error > worst) worst = error, at = k;
      }
      EXPECT_LE(worst, 0.501)
          << info(row).name << " of " << name_of(dtype) << " number " << at;
    }
  }
}

std::string_view op_of(const array& x) { return x.node()->op->name(); }

TEST(ElementwiseRules, ANumberThatChangesNothingRecordsNothing) {
  const array x({1.5f, -0.0f, 3.0f}), n({1, 2, 3});
  for (const array& y : {x * 1, 1 * x, x / 1, x - 0, power(x, 1)}) {
    EXPECT_TRUE(same_array(x, y));
  }
  EXPECT_TRUE(same_array(n, n + 0));
  EXPECT_FALSE(same_array(n, n * 1.0)) << "the dtype changes";
  EXPECT_FALSE(std::signbit((x + 0).to_vector<float>()[1]));
  EXPECT_FALSE(std::signbit((x - -0.0).to_vector<float>()[1]));
}

TEST(ElementwiseRules, PowersWithACheaperNameRecordThat) {
  const array x({0.25f, 4.0f}), n({3, -4});
  EXPECT_EQ(op_of(power(x, 2)), "square");
  EXPECT_EQ(op_of(power(n, 2)), "square");
  EXPECT_EQ(op_of(power(x, 0.5)), "sqrt");
  EXPECT_EQ(op_of(power(x, -0.5)), "rsqrt");
  EXPECT_EQ(op_of(power(x, -1)), "reciprocal");
  EXPECT_EQ(op_of(power(x, 3)), "multiply");
  EXPECT_EQ(op_of(power(x, 4)), "power");
  EXPECT_EQ(op_of(power(astype(x, float16), 3)), "power");
  EXPECT_EQ(op_of(power(2, x)), "power");
  EXPECT_EQ(power(n, 2).to_vector<int>(), (std::vector<int>{9, 16}));
  EXPECT_EQ(power(n, 3).to_vector<int>(), (std::vector<int>{27, -64}));
  EXPECT_EQ(power(x, -0.5).to_vector<float>(), (std::vector<float>{2, 0.5f}));
}

TEST(ElementwiseRules, DivisionByAPowerOfTwoIsAProduct) {
  const array x({1.0f, -3.0f, 7.0f});
  EXPECT_EQ(op_of(x / 8), "multiply");
  EXPECT_EQ(op_of(x / 3), "divide");
  EXPECT_EQ(op_of(x / 0), "divide");
  EXPECT_EQ(op_of(8 / x), "divide");
  EXPECT_EQ((x / 8).to_vector<float>(),
            (std::vector<float>{0.125f, -0.375f, 0.875f}));
  EXPECT_EQ((array({1, 3}) / 2).to_vector<float>(),
            (std::vector<float>{0.5f, 1.5f}));
}

}  // namespace
}  // namespace treadle
