#include <gtest/gtest.h>

#include "tests/cases/linalg.h"

namespace treadle::testing {

class Factorisation : public ::testing::TestWithParam<OpCase> {};
TEST_P(Factorisation, PassesAllChecks) { check_all(GetParam()); }

class LinearSystem : public ::testing::TestWithParam<OpCase> {};
TEST_P(LinearSystem, PassesAllChecks) { check_all(GetParam()); }

namespace {

std::string name(const ::testing::TestParamInfo<OpCase>& info) {
  return info.param.name;
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Table,
                         Factorisation,
                         ::testing::ValuesIn(factor_cases()),
                         name);
INSTANTIATE_TEST_SUITE_P(Table,
                         LinearSystem,
                         ::testing::ValuesIn(system_cases()),
                         name);

}  // namespace treadle::testing
