// Memory is in use only while something runs, or holds it; an intermediate
// value's is handed on to others when its last reader is done.
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

// Results of one call are one node's outputs; each has memory of its own.
TEST(Outputs, OneThatIsKeptKeepsNoOther) {
  const array x = ones({512, 512});
  auto step = compile([](const Arrays& in) {
    return Arrays{sum(in[0]), in[0] + 1, in[0] * 2};
  });
  eval({x});
  synchronize();
  const size_t before = get_active_memory();
  Arrays kept;
  for (int i = 0; i < 4; ++i) {
    Arrays out = step({x});
    eval(out);
    synchronize();
    EXPECT_GE(get_active_memory(), before + 2 * x.nbytes());
    kept.push_back(out[0]);
    out[1] = array();
    EXPECT_LT(get_active_memory(), before + x.nbytes() + 4096);
    EXPECT_EQ(sum(out[2]).item<float>(), 2 * 512 * 512);
  }
  EXPECT_LT(get_active_memory(), before + 4096);
  for (const array& loss : kept) EXPECT_EQ(loss.item<float>(), 512 * 512);
}

// While the function is traced, a walk may need what nobody holds any more.
TEST(Outputs, StayWhereTheHistoryIsStillRead) {
  auto f = [](const array& x) {
    Arrays parts = split(tanh(x) * x, 2);
    array y = parts[0] * parts[0];
    eval(parts);
    parts.pop_back();
    eval({y});
    return sum(y);
  };
  const array x = array({0.5f, -1.0f, 2.0f, 3.0f});
  const array g = grad(f)(x);
  const array whole = grad([](const array& x) {
    return sum(square(slice(tanh(x) * x, {0}, {2})));
  })(x);
  EXPECT_TRUE(allclose(g, whole).item<bool>());
}

}  // namespace
}  // namespace treadle
