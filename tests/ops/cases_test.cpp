#include <gtest/gtest.h>

#include "tests/cases/composed.h"
#include "tests/cases/core.h"
#include "tests/cases/cumulative.h"
#include "tests/cases/elementwise.h"
#include "tests/cases/fast.h"
#include "tests/cases/indexing.h"
#include "tests/cases/others.h"
#include "tests/cases/sort.h"

namespace treadle::testing {

class ElementwiseRow : public ::testing::TestWithParam<OpCase> {};
TEST_P(ElementwiseRow, PassesAllChecks) { check_all(GetParam()); }

class CoreOp : public ::testing::TestWithParam<OpCase> {};
TEST_P(CoreOp, PassesAllChecks) { check_all(GetParam()); }

class IndexingOp : public ::testing::TestWithParam<OpCase> {};
TEST_P(IndexingOp, PassesAllChecks) { check_all(GetParam()); }

class ComposedFunction : public ::testing::TestWithParam<OpCase> {};
TEST_P(ComposedFunction, PassesAllChecks) { check_all(GetParam()); }

class FastOp : public ::testing::TestWithParam<OpCase> {};
TEST_P(FastOp, PassesAllChecks) { check_all(GetParam()); }

class SortOp : public ::testing::TestWithParam<OpCase> {};
TEST_P(SortOp, PassesAllChecks) { check_all(GetParam()); }

class CumulativeOp : public ::testing::TestWithParam<OpCase> {};
TEST_P(CumulativeOp, PassesAllChecks) { check_all(GetParam()); }

class OtherOp : public ::testing::TestWithParam<OpCase> {};
TEST_P(OtherOp, PassesAllChecks) { check_all(GetParam()); }

std::string name(const ::testing::TestParamInfo<OpCase>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Table,
                         ElementwiseRow,
                         ::testing::ValuesIn(elementwise_cases()),
                         name);
INSTANTIATE_TEST_SUITE_P(Table,
                         CoreOp,
                         ::testing::ValuesIn(core_cases()),
                         name);
INSTANTIATE_TEST_SUITE_P(Table,
                         FastOp,
                         ::testing::ValuesIn(fast_cases()),
                         name);
INSTANTIATE_TEST_SUITE_P(Table,
                         IndexingOp,
                         ::testing::ValuesIn(indexing_cases()),
                         name);
INSTANTIATE_TEST_SUITE_P(Table,
                         SortOp,
                         ::testing::ValuesIn(sort_cases()),
                         name);
INSTANTIATE_TEST_SUITE_P(Table,
                         CumulativeOp,
                         ::testing::ValuesIn(cumulative_cases()),
                         name);
INSTANTIATE_TEST_SUITE_P(Table,
                         OtherOp,
                         ::testing::ValuesIn(other_cases()),
                         name);
INSTANTIATE_TEST_SUITE_P(Table,
                         ComposedFunction,
                         ::testing::ValuesIn(composed_cases()),
                         name);

}  // namespace treadle::testing
