// at and update_at from C++; python/tests/test_index_forms.py compares every
// mix of parts with NumPy.
#include "treadle/ops/at.h"

#include <gmock/gmock.h>

#include "treadle/ops/create.h"
#include "treadle/ops/views.h"
#include "treadle/transforms/compile.h"

namespace treadle {
namespace {

using testing::ElementsAre;

array numbers() { return reshape(arange(24), {2, 3, 4}); }

TEST(At, ReadsPositionsRangesAndNewAxes) {
  array y = at(numbers(), {1, Range{.step = -1}, NewAxis{}, -1});
  EXPECT_EQ(y.shape(), (Shape{3, 1}));
  EXPECT_THAT(y.to_vector<int>(), ElementsAre(23, 19, 15));
}

TEST(At, ArraysBroadcastAndStandInFrontWhenApart) {
  array y = at(numbers(), {array{0, 1}, Ellipsis{}, array{3, 0}});
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
  EXPECT_THAT(y.to_vector<int>(), ElementsAre(3, 7, 11, 12, 16, 20));
}

TEST(At, UpdatesApplyEveryValueForAnElement) {
  array y = update_at(zeros({3}), {array{0, 0, 2}}, 1, Update::add);
  EXPECT_THAT(y.to_vector<int>(), ElementsAre(2, 0, 1));
}

TEST(At, ABoolArrayAssigns) {
  array x = arange(4);
  array y = update_at(x, {greater(x, 1)}, 9);
  EXPECT_THAT(y.to_vector<int>(), ElementsAre(0, 1, 9, 9));
  EXPECT_THAT(at(x, {greater(x, 1)}).to_vector<int>(), ElementsAre(2, 3));
  auto read = [](const Arrays& a) { return Arrays{at(a[0], {a[0] > 1})}; };
  EXPECT_THROW(compile(read)({x}), std::invalid_argument);
}

TEST(At, APositionOutsideItsAxisThrowsAtOnceOneInAnArrayWhenComputed) {
  EXPECT_THROW(at(numbers(), {2}), std::out_of_range);
  array y = at(numbers(), {array{0, 0}, array{0, 3}});
  EXPECT_THROW(y.eval(), std::out_of_range);
}

TEST(At, SlicesStartWhereAnArraySays) {
  array y = slice_from(numbers(), array{1, 2}, {0, 2}, {1, 3, 2});
  EXPECT_EQ(y.shape(), (Shape{1, 3, 2}));
  EXPECT_THAT(y.to_vector<int>(), ElementsAre(14, 15, 18, 19, 22, 23));
  array z = slice_update_from(arange(4), array{7, 8}, array{1}, {0});
  EXPECT_THAT(z.to_vector<int>(), ElementsAre(0, 7, 8, 3));
}

}  // namespace
}  // namespace treadle
