#include "treadle/ops/gather.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "treadle/ops/create.h"
#include "treadle/ops/reduce.h"
#include "treadle/ops/views.h"

namespace treadle {
namespace {

// x[i, j, k] = 100 i + 10 j + k.
array cube() {
  array i = arange(4), j = arange(5), k = arange(6);
  return reshape(i * 100, {4, 1, 1}) + reshape(j * 10, {5, 1}) + k;
}

TEST(Gather, TakesSlicesAtTheirStarts) {
  // Two starts along axes 2 and 0; slices (2, 5, 3).
  array y = gather(
      cube(), {array({0, 3}), array({1, -2}, {2, 1})}, {2, 0}, {2, 5, 3});
  EXPECT_EQ(y.shape(), (Shape{2, 2, 2, 5, 3}));
  std::vector<int> got = y.to_vector<int>();
  size_t at = 0;
  for (int first : {1, 2})  // -2 is 2 of 4
    for (int last : {0, 3})
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 5; ++j)
          for (int k = 0; k < 3; ++k)
            ASSERT_EQ(got[at++], (first + i) * 100 + j * 10 + last + k);
}

TEST(Gather, CutsAxesWithoutIndicesAtTheirBeginning) {
  array y = gather(cube(), {array({4, 2})}, {1}, {2, 1, 3});
  EXPECT_EQ(y.shape(), (Shape{2, 2, 1, 3}));
  EXPECT_EQ(
      y.to_vector<int>(),
      (std::vector<int>{40, 41, 42, 140, 141, 142, 20, 21, 22, 120, 121, 122}));
}

TEST(Gather, WithoutIndicesIsASlice) {
  EXPECT_EQ(gather(cube(), {}, {}, {1, 2, 2}).to_vector<int>(),
            (std::vector<int>{0, 1, 10, 11}));
}

TEST(Scatter, PutsSlicesWhereGatherReadsThem) {
  const Arrays at{array({0, 3}), array({1, 2})};
  array u = broadcast_to(reshape(array({1, 2}), {2, 1, 1, 1}), {2, 1, 5, 2});
  array y = scatter(zeros({4, 5, 6}, int32), at, u, {2, 0});
  EXPECT_EQ(gather(y, at, {2, 0}, {1, 5, 2}).to_vector<int>(),
            u.to_vector<int>());
  EXPECT_EQ(sum(y).item<int>(), 10 * 1 + 10 * 2);
}

TEST(Scatter, CombinesUpdatesOfOneElement) {
  const Arrays at{array({1, 1, 2})};
  array x = array({5, 6, 7, 8}), u = array({2, 3, 4}, {3, 1});
  auto values = [](const array& y) { return y.to_vector<int>(); };
  using V = std::vector<int>;
  EXPECT_EQ(values(scatter(x, at, u, {0})), (V{5, 3, 4, 8}));
  EXPECT_EQ(values(scatter_add(x, at, u, {0})), (V{5, 11, 11, 8}));
  EXPECT_EQ(values(scatter_prod(x, at, u, {0})), (V{5, 36, 28, 8}));
  EXPECT_EQ(values(scatter_max(x, at, u, {0})), (V{5, 6, 7, 8}));
  EXPECT_EQ(values(scatter_min(x, at, u, {0})), (V{5, 2, 4, 8}));
}

TEST(Gather, SaysWhatIsWrong) {
  array x = cube(), i = array({1});
  EXPECT_THROW(gather(x, {i}, {0, 1}, {1, 1, 1}), std::invalid_argument);
  EXPECT_THROW(gather(x, {i}, {0}, {1, 1}), std::invalid_argument);
  EXPECT_THROW(gather(x, {i}, {0}, {5, 1, 1}), std::invalid_argument);
  EXPECT_THROW(gather(x, {i, i}, {0, 0}, {1, 1, 1}), std::invalid_argument);
  EXPECT_THROW(gather(x, {i}, {3}, {1, 1, 1}), std::out_of_range);
  EXPECT_THROW(gather(x, {array({1.0f})}, {0}, {1, 1, 1}),
               std::invalid_argument);
  EXPECT_THROW(scatter(x, Arrays{i}, zeros({1}, int32), Axes{0}),
               std::invalid_argument);
  // Only the value tells: a slice of 2 from the last of 4.
  EXPECT_THROW(gather(x, {array({3})}, {0}, {2, 1, 1}).eval(),
               std::out_of_range);
}

}  // namespace
}  // namespace treadle
