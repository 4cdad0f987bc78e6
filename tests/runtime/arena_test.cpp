// The memory of intermediate values is in use only while something runs.
#include <gtest/gtest.h>

#include "treadle/runtime/eval.h"
#include "treadle/runtime/memory.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

TEST(Arena, GoesBackWithTheLastRun) {
  const array x = ones({512, 512});
  eval({x});
  synchronize();
  const size_t before = get_active_memory();
  {
    array y = sum(matmul(tanh(matmul(x, x)), x));
    reset_peak_memory();
    y.eval();
    synchronize();
    EXPECT_GE(get_peak_memory(), before + x.nbytes());
  }
  EXPECT_EQ(get_active_memory(), before);
}

}  // namespace
}  // namespace treadle
