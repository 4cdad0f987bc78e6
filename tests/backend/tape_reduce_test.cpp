// Tapes that reduce rows and columns, against their meaning in double.
#include <cmath>

#include <gtest/gtest.h>

#include "tests/backend/tape_meaning.h"

namespace treadle::testing {
namespace {

TEST(Tape, SoftmaxOfRowsOfAnyLength) {
  const OpPtr op = softmax_tape();
  for (int64_t n : {1,
                    2,
                    3,
                    10,
                    64,
                    100,
                    511,
                    512,
                    513,
                    1000,
                    1024,
                    1025,
                    3000,
                    5000,
                    65536,
                    65537,
                    200000}) {
    for (int64_t rows : {1, 2, 7, 130}) {
      if (n * rows > 600000) continue;
      const Shape space{rows, n};
      expect_meaning(op, space, {normal(float32, space, 1)}, 1e-6, "softmax");
    }
  }
  const Shape space{9, 300, 4};  // rows that are not runs
  expect_meaning(
      op, {9, 4, 300}, {normal(float32, space, 1).transposed({0, 2, 1})}, 1e-6);
  expect_meaning(
      op, {3, 2000}, {normal(float32, {2000, 3}, 1).transposed({1, 0})}, 1e-6);
  expect_meaning(
      op, {3, 2000}, {normal(float32, {2000}, 1).broadcast({3, 2000})}, 1e-6);
  expect_meaning(
      op, {3, 2000}, {normal(float32, {3, 1}, 1).broadcast({3, 2000})}, 1e-6);
  expect_meaning(op,
                 {2, 70000},
                 {normal(float32, {70000, 2}, 1).transposed({1, 0})},
                 1e-6);
}

TEST(Tape, LayerNormHasThreePhases) {
  const OpPtr op = layer_norm_tape();
  EXPECT_EQ(static_cast<const plan::Fused&>(*op).tape.num_phases(), 3);
  for (int64_t n : {1, 8, 100, 768, 1024, 1500, 4096, 70000}) {
    for (int64_t rows : {1, 5, 66}) {
      if (n * rows > 500000) continue;
      const Shape space{rows, n};
      expect_meaning(op,
                     space,
                     {normal(float32, space, 1),
                      normal(float32, {n}, 2).broadcast(space),
                      normal(float32, {n}, 3).broadcast(space),
                      scalar_over(space, float32, double(n)),
                      scalar_over(space, float32, 1e-5)},
                     n == 1 ? 1e-4 : 4e-6,
                     "layer norm");
    }
  }
}

TEST(Tape, OneTapeMayHaveFullRowAndColumnOutputs) {
  const OpPtr op = mixed_tape();
  for (int64_t n : {1, 3, 10, 100, 1024, 1025, 5000, 70000}) {
    for (int64_t rows : {1, 2, 33, 700}) {
      if (n * rows > 700000) continue;
      const Shape space{rows, n};
      expect_meaning(op,
                     space,
                     {normal(float32, space, 1), normal(float32, space, 2)},
                     2e-6 * std::sqrt(double(n)),
                     "mixed");
    }
  }
}

TEST(Tape, ColumnsAreReducedForAllKindsAndLanes) {
  for (Dtype dtype :
       {float32, float64, int32, uint32, int64, uint64, float16}) {
    for (ReduceKind kind : {ReduceKind::sum,
                            ReduceKind::prod,
                            ReduceKind::max,
                            ReduceKind::min}) {
      TapeMaker t(1);
      const auto x = t.load(dtype);
      t.reduce_column(kind, x);
      for (const Shape& space : {Shape{1, 5},
                                 Shape{300, 1},
                                 Shape{1000, 8},
                                 Shape{9, 3000},
                                 Shape{70, 1000}}) {
        const Tensor in = tensor(dtype, space, [&](int64_t i) {
          return kind == ReduceKind::prod ? double(i % 53 == 0 ? 2 : 1)
                                          : double(i * 7 % 11);
        });
        if (kind == ReduceKind::prod && space[0] > 300)
          continue;  // beyond 2^53
        expect_meaning(
            t.op(),
            space,
            {in},
            dtype == float16 ? 1e-3 : 0,
            std::string(name_of(dtype)) + " " + std::string(name_of(kind)));
      }
    }
  }
}

TEST(Tape, AColumnReadsAnOperandBeforeAnOutputOverwritesIt) {
  for (bool with_rows : {false, true}) {
    TapeMaker t(1);
    const auto x = t.load(float32);
    const auto y = t.row(Row::add, x, x);
    t.store(with_rows ? t.row(Row::add, y, t.reduce_row(ReduceKind::sum, y))
                      : y);
    t.reduce_column(ReduceKind::max, x);
    const OpPtr op = t.op();
    for (const Shape& space : {Shape{4, 8}, Shape{3, 3000}}) {
      const Tensor in = integers(float32, space, 1, 50);
      const auto want = run_tape(*op, space, {in});
      const auto got = run_tape(*op, space, {in}, 1, {0, -1});
      for (int k : {0, 1}) EXPECT_EQ(got[k].values(), want[k].values());
    }
  }
}

TEST(Tape, RowsAreReducedForAllKindsAndLanes) {
  for (Dtype dtype :
       {float32, float64, int32, uint32, int64, uint64, bool_, int8}) {
    for (ReduceKind kind : {ReduceKind::sum,
                            ReduceKind::prod,
                            ReduceKind::max,
                            ReduceKind::min}) {
      TapeMaker t(2);
      t.store_row(t.reduce_row(kind, t.load(dtype)));
      for (const Shape& space : {Shape{1, 1, 5},
                                 Shape{300, 1, 1},
                                 Shape{100, 2, 4},
                                 Shape{9, 30, 100},
                                 Shape{2, 300, 300}}) {
        const Tensor in = tensor(dtype, space, [&](int64_t i) {
          if (dtype == bool_) return double(i % 3 == 0);
          return kind == ReduceKind::prod ? double(i % 3001 == 0 ? 2 : 1)
                                          : double(i * 7 % 11);
        });
        expect_meaning(
            t.op(),
            space,
            {in},
            0,
            std::string(name_of(dtype)) + " " + std::string(name_of(kind)));
      }
    }
  }
}

TEST(Tape, NothingSumsToNothing) {
  TapeMaker t(1);
  const auto x = t.load(float32);
  t.store_row(t.reduce_row(ReduceKind::sum, x));
  t.store_row(t.reduce_row(ReduceKind::prod, x));
  t.reduce_column(ReduceKind::sum, x);
  t.store(x);
  expect_meaning(t.op(), {3, 0}, {normal(float32, {3, 0}, 1)}, 0);
  expect_meaning(t.op(), {0, 5}, {normal(float32, {0, 5}, 1)}, 0);
  expect_meaning(t.op(), {0, 0}, {normal(float32, {0, 0}, 1)}, 0);
  expect_meaning(softmax_tape(), {4, 0}, {normal(float32, {4, 0}, 1)}, 0);
}

TEST(Tape, ALongFloatSumIsAlmostExact) {
  TapeMaker t(1);
  t.store_row(t.reduce_row(ReduceKind::sum, t.load(float32)));
  const Shape space{1, 3000001};
  // 0.1 is off by 1.5e-9 in float; the sum must not add to that.
  const Tensor in = tensor(float32, space, [](int64_t) { return 0.1; });
  const double want = 3000001 * double(0.1f);
  for (int threads : {1, 3}) {
    const double got = run_tape(*t.op(), space, {in}, threads)[0].values()[0];
    EXPECT_NEAR(got, want, want * 6e-8);
  }
  TapeMaker c(1);
  c.reduce_column(ReduceKind::sum, c.load(float32));
  const Tensor tall = tensor(float32, {600000, 5}, [](int64_t) { return 0.1; });
  const double column = 600000 * double(0.1f);
  for (double got : run_tape(*c.op(), {600000, 5}, {tall}, 2)[0].values()) {
    EXPECT_NEAR(got, column, column * 6e-8);
  }
}

}  // namespace
}  // namespace treadle::testing
