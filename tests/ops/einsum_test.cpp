// Sums of products: against plain loops over every subscript, and the order of
// contractions.
#include <gtest/gtest.h>

#include "tests/cases/products.h"

namespace treadle::testing {

class Einsum : public ::testing::TestWithParam<OpCase> {};
TEST_P(Einsum, PassesAllChecks) { check_all(GetParam()); }

namespace {

std::string name(const ::testing::TestParamInfo<OpCase>& info) {
  return info.param.name;
}

int64_t flops(const std::string& text) {
  const std::string label = "Optimized FLOP count:  ";
  return std::stoll(text.substr(text.find(label) + label.size()));
}

TEST(EinsumPath, IsTheCheapest) {
  // A chain of matrices: from the right, 10 x 1 vectors last.
  auto [path, text] = einsum_path(
      "ij,jk,kl,l->i",
      {zeros({30, 40}), zeros({40, 50}), zeros({50, 60}), zeros({60})});
  EXPECT_EQ(flops(text), 2 * (50 * 60 + 40 * 50 + 30 * 40));
  EXPECT_EQ(path.size(), 3u);
  // What opt_einsum calls the cheapest too.
  const Arrays five{zeros({10, 10}),
                    zeros({10, 10}),
                    zeros({10, 10, 10, 10}),
                    zeros({10, 10}),
                    zeros({10, 10})};
  EXPECT_EQ(flops(einsum_path("ea,fb,abcd,gc,hd->efgh", five).second), 800000);
}

TEST(EinsumPath, OfManyOperandsIsFoundQuickly) {
  // A ring of 20 matrices, more than every order can be tried for.
  std::string subscripts;
  Arrays x;
  for (int i = 0; i < 20; ++i) {
    subscripts += (i ? "," : "") + std::string(1, char('a' + i)) +
                  char('a' + (i + 1) % 20);
    x.push_back(eye(4) * 0.5);
  }
  auto [path, text] = einsum_path(subscripts + "->", x);
  EXPECT_EQ(path.size(), 19u);
  EXPECT_LE(flops(text), 19 * 2 * 4 * 4 * 4);
  EXPECT_FLOAT_EQ(einsum(subscripts + "->", x).item<float>(),
                  4 * std::pow(0.5f, 20));
}

TEST(EinsumValue, OfIntegersIsExact) {
  array a = reshape(arange(6, int32), {2, 3}) + 20000;
  array y = einsum("ij,kj->ik", {a, a});
  EXPECT_EQ(y.dtype(), int32);
  EXPECT_EQ(y.to_vector<int>()[0],
            20000 * 20000 + 20001 * 20001 + 20002 * 20002);
  EXPECT_EQ(einsum("i,i", {array({1, 2}), array({3, 4})}).dtype(), int32);
}

TEST(EinsumValue, OfArraysWithoutElements) {
  array y = einsum("ij,jk->ik", {zeros({2, 0}), zeros({0, 3})});
  EXPECT_TRUE(array_equal(y, zeros({2, 3})).item<bool>());
  EXPECT_EQ(
      einsum("bij,bjk->bki", {zeros({0, 2, 3}), zeros({0, 3, 4})}).shape(),
      (Shape{0, 4, 2}));
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Table,
                         Einsum,
                         ::testing::ValuesIn(einsum_cases()),
                         name);

}  // namespace treadle::testing
