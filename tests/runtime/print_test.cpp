// Arrays as text: python/tests/test_core_printing.py compares it with MLX's.
#include "treadle/graph/print.h"

#include <sstream>

#include <gtest/gtest.h>

#include "treadle/treadle.h"

namespace treadle {
namespace {

std::string text(const array& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

TEST(Print, IsAsInPython) {
  EXPECT_EQ(text(array({1.0f, 2.5f, -0.1f}) * 2),
            "array([2, 5, -0.2], dtype=float32)");
  EXPECT_EQ(text(transpose(reshape(arange(4), {2, 2}))),
            "array([[0, 2],\n       [1, 3]], dtype=int32)");
  EXPECT_EQ(text(arange(9)), "array([0, 1, 2, ..., 6, 7, 8], dtype=int32)");
  EXPECT_EQ(text(greater(array(2), 1)), "array(True, dtype=bool)");
  EXPECT_EQ(text(array()), "array()");
}

TEST(Print, HasAsManyDigitsAsAreAskedFor) {
  set_print_precision(2);
  EXPECT_EQ(text(array(1.23456f)), "array(1.23, dtype=float32)");
  set_print_precision(-1);
  EXPECT_EQ(text(array(1.23456f)), "array(1.23456, dtype=float32)");
  EXPECT_THROW(set_print_precision(101), std::invalid_argument);
}

}  // namespace
}  // namespace treadle
