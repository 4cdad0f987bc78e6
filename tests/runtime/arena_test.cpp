// The memory of intermediate values is in use only while something runs, and
// is handed on to others when its last reader is done.
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

// The tape's full output lies where the product was: rows are subtracted from
// it after their mean, which is after they were added to the sum over rows.
TEST(Arena, AColumnIsAddedUpBeforeItsOperandIsOverwritten) {
  for (const Shape& shape : {Shape{192, 32}, Shape{3, 40000}}) {
    const array a = random::normal(
                    {shape[0], 5}, float32, 0, 1, random::key(1)),
                b = random::normal(
                    {5, shape[1]}, float32, 0, 1, random::key(2)),
                w = random::normal(
                    {2, shape[0]}, float32, 0, 1, random::key(3));
    const auto outputs = [&] {
      const array d = matmul(a, b);
      const array scaled = (d + 1) * mean(d, 1, true);
      return Arrays{matmul(w, scaled), sum(d, 0)};
    };
    const Arrays together = outputs();
    eval(together);
    const Arrays alone = outputs();
    for (size_t i = 0; i < alone.size(); ++i)
      EXPECT_LT(max(abs(alone[i] - together[i])).item<float>(), 1e-3) << i;
  }
}

}  // namespace
}  // namespace treadle
