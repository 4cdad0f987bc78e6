// Rules of elementwise operations that the case table does not reach.
#include "treadle/ops/elementwise.h"

#include <stdexcept>

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace treadle
