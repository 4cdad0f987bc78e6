// Whole tapes on the CPU, against their meaning evaluated in double.
#include <cmath>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "treadle/backend/cpu/lane_table.h"

#include "tests/backend/tape_maker.h"

namespace treadle::testing {
namespace {

using plan::Lane;
using plan::OutputForm;
using plan::Tape;
using plan::TapeValue;
using Code = TapeValue::Code;

double rounded_to(Dtype t, double x) {
  const Tensor one = tensor(t, {1}, std::vector<double>{x});
  return one.values()[0];
}

// The outputs of a tape, every value an array over the whole space in double.
std::vector<std::vector<double>> meaning(const Tape& tape,
                                         const Shape& space,
                                         const std::vector<Tensor>& in) {
  const size_t n = static_cast<size_t>(size_of(space));
  size_t inner = 1;
  for (size_t i = space.size() - tape.inner_axes; i < space.size(); ++i) {
    inner *= static_cast<size_t>(space[i]);
  }
  const size_t outer = inner == 0
                           ? static_cast<size_t>(size_of(Shape(
                                 space.begin(), space.end() - tape.inner_axes)))
                           : n / inner;
  const auto merge = [](ReduceKind kind, double a, double b) {
    switch (kind) {
      case ReduceKind::sum:
        return a + b;
      case ReduceKind::prod:
        return a * b;
      case ReduceKind::max:
        return std::isnan(a) || a > b ? a : b;
      default:
        return std::isnan(a) || a < b ? a : b;
    }
  };
  const auto start = [](ReduceKind kind) {
    constexpr double inf = std::numeric_limits<double>::infinity();
    constexpr double values[] = {0, 1, -inf, inf};
    return values[static_cast<int>(kind)];
  };
  std::vector<std::vector<double>> values(tape.values.size()),
      outputs(tape.outputs.size());
  std::vector<std::vector<double>> row_of(
      tape.values.size());  // of reductions, even if empty
  for (size_t v = 0; v < tape.values.size(); ++v) {
    const TapeValue& t = tape.values[v];
    std::vector<double>& y = values[v];
    switch (t.code) {
      case Code::load:
        y = in[t.index].values();
        break;
      case Code::row: {
        y.resize(n);
        const bool choose = info(t.row).rule == Rule::choose;
        const bool compare = info(t.row).rule == Rule::compare;
        const auto fn =
            backend::cpu::scalar_table().row[static_cast<int>(t.row)][1];
        for (size_t i = 0; i < n; ++i) {
          if (choose) {
            y[i] = values[t.a][i] != 0 ? values[t.b][i] : values[t.c][i];
          } else if (compare) {
            uint32_t truth;
            fn(1, &truth, &values[t.a][i], &values[t.b][i], nullptr, 0);
            y[i] = truth;
          } else {
            fn(1,
               &y[i],
               &values[t.a][i],
               info(t.row).arity > 1 ? &values[t.b][i] : nullptr,
               nullptr,
               0);
          }
        }
        break;
      }
      case Code::convert:
        for (double x : values[t.a]) y.push_back(rounded_to(t.dtype, x));
        break;
      case Code::reduce_row:
        y.resize(n);
        for (size_t r = 0; r < outer; ++r) {
          double a = start(t.reduce);
          for (size_t i = 0; i < inner; ++i)
            a = merge(t.reduce, a, values[t.a][r * inner + i]);
          for (size_t i = 0; i < inner; ++i) y[r * inner + i] = a;
          row_of[v].push_back(a);
        }
        break;
      case Code::store: {
        std::vector<double>& out = outputs[t.index];
        const bool row = tape.outputs[t.index].form == OutputForm::row;
        if (row && !row_of[t.a].empty()) {
          out = row_of[t.a];
        } else {
          for (size_t i = 0; i < n; i += row ? inner : 1)
            out.push_back(values[t.a][i]);
        }
        for (double& x : out) x = rounded_to(t.dtype, x);
        break;
      }
      case Code::reduce_column:
        outputs[t.index].assign(inner, start(t.reduce));
        for (size_t i = 0; i < n; ++i) {
          double& a = outputs[t.index][i % inner];
          a = merge(t.reduce, a, values[t.a][i]);
        }
        break;
    }
  }
  return outputs;
}

// Runs a tape with 1, 2 and 4 threads, which must agree bit by bit, and
// compares with its meaning: |error| <= tolerance * (1 + |value|).
void expect_meaning(const OpPtr& op,
                    const Shape& space,
                    const std::vector<Tensor>& in,
                    double tolerance,
                    const std::string& what = "") {
  const Tape& tape = static_cast<const plan::Fused&>(*op).tape;
  const auto want = meaning(tape, space, in);
  const auto got = run_tape(*op, space, in, 1);
  for (int threads : {2, 4}) {
    const auto again = run_tape(*op, space, in, threads);
    for (size_t k = 0; k < got.size(); ++k) {
      EXPECT_EQ(got[k].memory, again[k].memory)
          << what << ": " << threads << " threads";
    }
  }
  for (size_t k = 0; k < got.size(); ++k) {
    const std::vector<double> y = got[k].values();
    ASSERT_EQ(y.size(), want[k].size()) << what;
    for (size_t i = 0; i < y.size(); ++i) {
      const bool same =
          y[i] == want[k][i] || (std::isnan(y[i]) && std::isnan(want[k][i]));
      const double error = std::abs(y[i] - want[k][i]);
      ASSERT_TRUE(same || error <= tolerance * (1 + std::abs(want[k][i])))
          << what << " " << to_string(space) << ": output " << k << " at " << i
          << ": got " << y[i] << ", want " << want[k][i] << "\n"
          << tape.to_string();
    }
  }
}

OpPtr chain_tape(Dtype dtype = float32) {
  // sigmoid(x * y + x) * (x - 0.5 y) + y y, with the 0.5 as an operand
  TapeMaker t;
  const auto x = t.load(dtype), y = t.load(dtype), half = t.load(dtype);
  const auto s =
      t.row(Row::sigmoid, t.row(Row::add, t.row(Row::multiply, x, y), x));
  const auto d = t.row(Row::subtract, x, t.row(Row::multiply, half, y));
  const auto p = t.row(Row::multiply, s, d);
  t.store(t.row(Row::add, p, t.row(Row::multiply, y, y)), dtype);
  return t.op();
}

OpPtr softmax_tape(Dtype dtype = float32) {
  TapeMaker t(1);
  const auto x = t.load(dtype);
  const auto e = t.row(
      Row::exp, t.row(Row::subtract, x, t.reduce_row(ReduceKind::max, x)));
  t.store(t.row(Row::divide, e, t.reduce_row(ReduceKind::sum, e)), dtype);
  return t.op();
}

// (x - mean) / sqrt(var + eps) * gamma + beta, with the statistics as outputs.
OpPtr layer_norm_tape() {
  TapeMaker t(1);
  const auto x = t.load(float32), gamma = t.load(float32),
             beta = t.load(float32);
  const auto count = t.load(float32, true), eps = t.load(float32, true);
  const auto mean = t.row(Row::divide, t.reduce_row(ReduceKind::sum, x), count);
  const auto d = t.row(Row::subtract, x, mean);
  const auto var = t.row(
      Row::divide, t.reduce_row(ReduceKind::sum, t.row(Row::square, d)), count);
  const auto inv = t.row(Row::rsqrt, t.row(Row::add, var, eps));
  const auto norm = t.row(Row::multiply, d, inv);
  t.store(t.row(Row::add, t.row(Row::multiply, norm, gamma), beta));
  t.store_row(mean);
  t.store_row(inv);
  return t.op();
}

// What a backward pass of a norm holds: full, row and column outputs at once.
OpPtr mixed_tape() {
  TapeMaker t(1);
  const auto x = t.load(float32), g = t.load(float32);
  const auto xg = t.row(Row::multiply, x, g);
  const auto s = t.reduce_row(ReduceKind::sum, xg);
  t.store(t.row(Row::subtract, g, t.row(Row::multiply, x, s)));
  t.store_row(s);
  t.reduce_column(ReduceKind::sum, xg);
  t.reduce_column(ReduceKind::max, t.row(Row::add, g, s));
  return t.op();
}

// Rounding of a chain: its terms reach 30, of which a float is 2e-6 apart.
constexpr double kChain = 4e-6;

// 0, 1, ... limit in disorder.
Tensor naturals(Dtype dtype, const Shape& shape, int seed, int limit = 3) {
  return tensor(dtype, shape, [=](int64_t i) {
    return double((i * 7919 + i / 13 + seed) % (limit + 1));
  });
}

Tensor scalar_over(const Shape& space, Dtype dtype, double v) {
  return tensor(dtype, {}, std::vector<double>{v}).broadcast(space);
}

TEST(Tape, AChainHasItsMeaningOnRunsOfAnyLength) {
  const OpPtr op = chain_tape();
  for (int64_t n : {0,
                    1,
                    2,
                    4,
                    15,
                    16,
                    17,
                    63,
                    1000,
                    1023,
                    1024,
                    1025,
                    5000,
                    40000,
                    100003}) {
    const Shape space{n};
    expect_meaning(op,
                   space,
                   {normal(float32, space, 1),
                    normal(float32, space, 2),
                    scalar_over(space, float32, 0.5)},
                   kChain,
                   "chain");
  }
}

TEST(Tape, AScalarSpaceIsOneElement) {
  const OpPtr op = chain_tape();
  expect_meaning(
      op,
      {},
      {normal(float32, {}, 1), normal(float32, {}, 2), normal(float32, {}, 3)},
      kChain);
}

TEST(Tape, OperandsMayHaveAnyStrides) {
  const OpPtr op = chain_tape();
  const auto check = [&](const Shape& space,
                         const Tensor& x,
                         const Tensor& y,
                         const Tensor& z) {
    expect_meaning(op, space, {x, y, z}, kChain, "strides");
  };
  for (int64_t n : {1, 3, 31, 64, 70, 500, 1500}) {
    const Shape space{n, 70};
    const Tensor full = normal(float32, space, 1);
    const Tensor turned = normal(float32, {70, n}, 2).transposed({1, 0});
    const Tensor row = normal(float32, {70}, 3).broadcast(space);
    const Tensor column = normal(float32, {n, 1}, 4).broadcast(space);
    const Tensor odd = normal(float32, {n, 140}, 5).every(1, 2);
    const Tensor back = normal(float32, space, 6).every(1, -1);
    const Tensor one = scalar_over(space, float32, 0.25);
    check(space, full, turned, one);
    check(space, full, row, column);
    check(space, odd, back, row);
    check(space, column, one, turned);
    check(space, row, row, one);
    check(space, column, column, full);
  }
  for (const Shape& space :
       {Shape{2, 3, 4, 5, 6}, Shape{3, 1, 50, 40}, Shape{1, 7, 1, 2000}}) {
    Shape reversed(space.rbegin(), space.rend());
    Axes axes;
    for (size_t i = 0; i < space.size(); ++i)
      axes.push_back(int(space.size() - 1 - i));
    const Tensor full = normal(float32, space, 1);
    const Tensor turned = normal(float32, reversed, 2).transposed(axes);
    Shape middle = space;
    middle.front() = 1;
    middle.back() = 1;
    check(space, full, turned, normal(float32, middle, 3).broadcast(space));
  }
}

TEST(Tape, TurnedOperandsAreReadByBlocksOfRows) {
  for (const Shape& space :
       {Shape{300, 700}, Shape{100, 1500}, Shape{67, 3001}}) {
    const Shape turned{space[1], space[0]};
    for (Dtype dtype : {float32, float16, int8, float64}) {
      TapeMaker t;
      const auto x = t.load(dtype), y = t.load(dtype);
      t.store(t.row(Row::subtract, x, y));
      expect_meaning(t.op(),
                     space,
                     {naturals(dtype, turned, 1).transposed({1, 0}),
                      naturals(dtype, space, 2)},
                     0);
    }
    expect_meaning(softmax_tape(),
                   space,
                   {normal(float32, turned, 1).transposed({1, 0})},
                   1e-6);
    expect_meaning(mixed_tape(),
                   space,
                   {normal(float32, turned, 1).transposed({1, 0}),
                    normal(float32, space, 2)},
                   1e-4);
  }
  const Shape space{3, 50, 1200};
  TapeMaker t;
  t.store(t.row(Row::subtract, t.load(float32), t.load(float32)));
  expect_meaning(t.op(),
                 space,
                 {normal(float32, {3, 1200, 50}, 1).transposed({0, 2, 1}),
                  normal(float32, {50, 3, 1200}, 1).transposed({1, 0, 2})},
                 1e-7);
}

TEST(Tape, EveryDtypeIsLoadedStridedAndStored) {
  for (int d = 0; d < kNumDtypes; ++d) {
    const Dtype dtype = static_cast<Dtype>(d);
    TapeMaker t;
    const auto a = t.load(dtype), b = t.load(dtype), c = t.load(dtype);
    const auto s = t.row(Row::maximum, a, b);
    t.store(t.convert(t.row(Row::multiply, s, c), dtype), dtype);
    t.store(t.row(Row::less, a, c), bool_);
    for (int64_t n : {5, 80, 1100}) {
      const Shape space{n, 37};
      const int limit = dtype == bool_ ? 1 : 3;
      expect_meaning(t.op(),
                     space,
                     {naturals(dtype, {37, n}, 1, limit).transposed({1, 0}),
                      naturals(dtype, {37}, 2, limit).broadcast(space),
                      naturals(dtype, {n, 74}, 3, limit).every(1, 2)},
                     0,
                     std::string(name_of(dtype)));
    }
  }
}

TEST(Tape, NarrowIntegersWrapWhereATapeConverts) {
  TapeMaker t;
  const auto a = t.load(uint8);
  const auto s = t.convert(t.row(Row::add, a, a), uint8);
  t.store(t.row(Row::right_shift, s, t.load(uint8)), uint8);
  const Shape space{256};
  const auto y = run_tape(*t.op(),
                          space,
                          {tensor(uint8, space, [](int64_t i) { return i; }),
                           scalar_over(space, uint8, 1)})[0]
                     .values();
  for (int i = 0; i < 256; ++i) EXPECT_EQ(y[i], ((2 * i) & 255) >> 1);
}

TEST(Tape, HalvesAreComputedInFloatAndRoundedOnce) {
  for (Dtype dtype : {float16, bfloat16}) {
    const Shape space{3, 1001};
    const std::vector<Tensor> in = {normal(dtype, space, 1),
                                    normal(dtype, space, 2),
                                    scalar_over(space, dtype, 0.5)};
    // Half an ULP of the half type, and the little that float is off by.
    const double ulp = dtype == float16 ? 0x1p-11 : 0x1p-8;
    const OpPtr op = chain_tape(dtype);
    const auto got = run_tape(*op, space, in)[0].values();
    std::vector<Tensor> wide;
    for (const Tensor& x : in) {
      const auto v = x.values();
      wide.push_back(tensor(float64, space, v));
    }
    const auto want =
        meaning(static_cast<const plan::Fused&>(*chain_tape(float64)).tape,
                space,
                wide)[0];
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(got[i], want[i], ulp * std::abs(want[i]) * 1.001 + 1e-6) << i;
    }
  }
}

TEST(Tape, LanesOfDifferentWidthsMeet) {
  TapeMaker t;
  const auto x = t.load(float32), d = t.load(float64), i = t.load(int64),
             b = t.load(bool_);
  const auto wide = t.convert(x, float64);
  const auto pick = t.row(Row::select, b, wide, d);
  const auto sum = t.row(Row::add, pick, t.convert(i, float64));
  t.store(sum);
  t.store(t.convert(sum, float32), float16);
  t.store(t.row(Row::less_equal, d, sum), bool_);
  t.store(t.convert(t.row(Row::less, wide, d), float32));
  for (int64_t n : {1, 7, 100, 600, 3000}) {
    const Shape space{n};
    expect_meaning(t.op(),
                   space,
                   {normal(float32, space, 1),
                    normal(float64, space, 2),
                    integers(int64, space, 3),
                    naturals(bool_, space, 4, 1)},
                   0,
                   "lanes");
  }
}

TEST(Tape, ComplexNumbersRunInScalarCode) {
  TapeMaker t;
  const auto x = t.load(complex64), y = t.load(complex64);
  t.store(t.row(Row::abs, t.row(Row::multiply, x, y)));
  const Shape space{5, 300};
  const auto got =
      run_tape(*t.op(),
               space,
               {normal(complex64, space, 1),
                normal(complex64, {300, 5}, 2).transposed({1, 0})});
  const auto a = normal(complex64, space, 1).values();
  const auto b = normal(complex64, {300, 5}, 2).transposed({1, 0}).values();
  const auto y0 = got[0].values();
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(y0[i], std::abs(a[i] * b[i]), 1e-6);
}

TEST(Tape, JoinedRowsRoundAsTheyDoAlone) {
  const Row ops[] = {Row::add, Row::subtract, Row::multiply};
  const auto apply = [](Row row, auto a, auto b) {
    return row == Row::add ? a + b : row == Row::subtract ? a - b : a * b;
  };
  const Shape space{37};
  for (Dtype dtype : {float32, float64}) {
    std::vector<Tensor> in;
    for (int k = 0; k < 4; ++k) in.push_back(normal(dtype, space, k + 1));
    in[1] = scalar_over(space, dtype, 0.1);
    for (Row first : ops) {
      for (Row then : ops) {
        for (int form = 0; form < 5; ++form) {
          for (Row last : ops) {
            TapeMaker t;
            const auto a = t.load(dtype), b = t.load(dtype), c = t.load(dtype),
                       d = t.load(dtype);
            const auto l = t.row(first, a, b);
            uint16_t r = c, y = 0;
            switch (form) {
              case 0:
                y = t.row(then, l, c);
                break;
              case 1:
                y = t.row(then, c, l);
                break;
              case 2:
                y = t.row(then, l, l);
                break;
              default:
                y = t.row(then, l, r = t.row(last, c, d));
                break;
            }
            t.store(y);
            if (form == 4)
              t.store(l);  // a value that others read is not taken in
            else
              t.store(d);
            const auto got = run_tape(*t.op(), space, in)[0];
            const auto check = [&]<class T>(T) {
              std::vector<const T*> x;
              for (const Tensor& i : in)
                x.push_back(reinterpret_cast<const T*>(i.memory.data()));
              for (int i = 0; i < 37; ++i) {
                const volatile T left = apply(first, x[0][i], x[1][0]);
                const volatile T right = apply(last, x[2][i], x[3][i]);
                const T want = form == 0   ? apply(then, T(left), x[2][i])
                               : form == 1 ? apply(then, x[2][i], T(left))
                               : form == 2 ? apply(then, T(left), T(left))
                                           : apply(then, T(left), T(right));
                ASSERT_EQ(reinterpret_cast<const T*>(got.memory.data())[i],
                          want)
                    << static_cast<const plan::Fused&>(*t.op())
                           .tape.to_string();
              }
            };
            dtype == float32 ? check(float()) : check(double());
          }
        }
      }
    }
  }
}

TEST(Tape, ConstantsAreComputedOnceAndStillStored) {
  TapeMaker t;
  const auto x = t.load(float32), b1 = t.load(float32), one = t.load(float32);
  const auto rest = t.row(Row::subtract, one, b1);
  t.store(t.row(Row::multiply, x, rest));
  t.store(rest);
  t.store(t.convert(rest, float16), float16);
  for (int64_t n : {1, 3, 2000}) {
    const Shape space{n, 33};
    expect_meaning(t.op(),
                   space,
                   {normal(float32, space, 1),
                    scalar_over(space, float32, 0.9),
                    scalar_over(space, float32, 1)},
                   1e-7,
                   "constants");
  }
}

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

TEST(Tape, AnOutputMayTakeTheMemoryOfAnOperand) {
  // All reads of x stand before the value stored over it.
  const auto check = [](const OpPtr& op,
                        const Shape& space,
                        std::vector<Tensor> in,
                        const std::vector<int>& places) {
    const auto want = run_tape(*op, space, in);
    for (int threads : {1, 2}) {
      const auto got = run_tape(*op, space, in, threads, places);
      for (size_t k = 0; k < want.size(); ++k) {
        EXPECT_EQ(want[k].memory, got[k].memory)
            << to_string(space) << " output " << k;
      }
    }
  };
  TapeMaker adam;
  const auto p = adam.load(float32), g = adam.load(float32),
             m = adam.load(float32), v = adam.load(float32);
  const auto b = adam.load(float32);
  const auto m1 = adam.row(Row::add, adam.row(Row::multiply, m, b), g);
  const auto v1 = adam.row(
      Row::add, adam.row(Row::multiply, v, b), adam.row(Row::square, g));
  const auto step = adam.row(Row::divide, m1, adam.row(Row::sqrt, v1));
  adam.store(m1);
  adam.store(v1);
  adam.store(adam.row(Row::subtract, p, step));
  for (int64_t n : {5, 1000, 70000}) {
    const Shape space{n};
    check(adam.op(),
          space,
          {normal(float32, space, 1),
           normal(float32, space, 2),
           normal(float32, space, 3),
           absolute(normal(float32, space, 4)),
           scalar_over(space, float32, 0.9)},
          {2, 3, 0});
  }
  for (int64_t n : {10, 1000, 5000, 70000}) {
    const Shape space{3, n};
    check(softmax_tape(), space, {normal(float32, space, 1)}, {0});
    check(softmax_tape(float16), space, {normal(float16, space, 1)}, {0});
    check(mixed_tape(),
          space,
          {normal(float32, space, 1), normal(float32, space, 2)},
          {0});
  }
  // An output that is computed in an early phase over what a late one reads.
  TapeMaker early(1);
  const auto x = early.load(float32), y = early.load(float32);
  early.store(early.row(Row::multiply, x, y));
  early.store(
      early.row(Row::subtract, x, early.reduce_row(ReduceKind::max, x)));
  for (int64_t n : {10, 1000, 5000, 70000}) {
    const Shape space{3, n};
    check(early.op(),
          space,
          {normal(float32, space, 1), normal(float32, space, 2)},
          {0});
  }
}

TEST(Tape, UnwantedOutputsAreLeftAlone) {
  const OpPtr op = mixed_tape();
  const Shape space{40, 50};
  const Tensor x = normal(float32, space, 1), g = normal(float32, space, 2);
  const auto want = run_tape(*op, space, {x, g});
  for (unsigned mask = 0; mask < 16; ++mask) {
    const auto got = run_tape(*op, space, {x, g}, 1, {}, mask);
    for (size_t k = 0; k < 4; ++k) {
      if (mask >> k & 1) {
        EXPECT_EQ(got[k].memory, std::vector<char>(got[k].memory.size(), 0));
      } else {
        EXPECT_EQ(got[k].memory, want[k].memory);
      }
    }
  }
}

TEST(Tape, LargeOutputsPassByTheCaches) {
  const Shape space{5 << 20};
  const OpPtr op = chain_tape();
  const Tensor x =
      tensor(float32, space, [](int64_t i) { return double(i % 97) / 50 - 1; });
  const auto got =
      run_tape(*op, space, {x, x, scalar_over(space, float32, 0.5)}, 2)[0];
  const Shape small{97};
  const auto period = run_tape(
      *op,
      small,
      {tensor(
           float32, small, [](int64_t i) { return double(i % 97) / 50 - 1; }),
       tensor(
           float32, small, [](int64_t i) { return double(i % 97) / 50 - 1; }),
       scalar_over(small, float32, 0.5)})[0];
  for (int64_t i = 0; i < space[0]; ++i) {
    ASSERT_EQ(
        std::memcmp(
            got.memory.data() + 4 * i, period.memory.data() + 4 * (i % 97), 4),
        0)
        << i;
  }
}

TEST(Tape, MalformedTapesAreRefused) {
  const auto refused = [](const Tape& tape, const std::string& why) {
    try {
      plan::check(tape);
      ADD_FAILURE() << "accepted, but " << why;
    } catch (const std::logic_error& e) {
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  };
  TapeMaker t(1);
  const auto x = t.load(float32);
  const auto s = t.reduce_row(ReduceKind::sum, x);
  t.store(t.row(Row::add, x, s));
  plan::check(t.tape());
  const auto with = [&](size_t i, auto change) {
    Tape tape = t.tape();
    change(tape.values[i]);
    return tape;
  };
  refused(with(1, [](TapeValue& v) { v.a = 3; }), "used before it is defined");
  refused(with(2, [](TapeValue& v) { v.phase = 0; }), "a wrong phase");
  refused(with(2, [](TapeValue& v) { v.uniform = true; }), "a wrong uniform");
  refused(with(2, [](TapeValue& v) { v.lane = Lane::f64; }), "a wrong lane");
  refused(with(2, [](TapeValue& v) { v.row = Row::bitwise_and; }),
          "does not take the lane");
  refused(with(3, [](TapeValue& v) { v.index = 7; }), "no such output");
  refused(with(3, [](TapeValue& v) { v.dtype = float64; }),
          "not the output's dtype");
  Tape more = t.tape();
  more.operands.push_back(int8);
  refused(more, "x1 is never loaded");
  more = t.tape();
  more.outputs.push_back({float32, OutputForm::full});
  refused(more, "y1 is never written");
}

TEST(Tape, PrintsOneValueALine) {
  TapeMaker t(1);
  const auto x = t.load(float16);
  t.store(t.row(Row::subtract, x, t.reduce_row(ReduceKind::max, x)), float16);
  EXPECT_EQ(t.tape().to_string(),
            "v0 f32 = load x0 float16  phase 0\n"
            "v1 f32 per row = reduce_row max v0  phase 0\n"
            "v2 f32 = subtract v0, v1  phase 1\n"
            "y0 float16 = v2  phase 1\n");
}

TEST(Tape, EqualTapesAreEqualOps) {
  const OpPtr a = softmax_tape(), b = softmax_tape(), c = softmax_tape(float16);
  EXPECT_TRUE(a->same_as(*b));
  EXPECT_FALSE(a->same_as(*c));
  const auto hash = [](const OpPtr& op) {
    Hasher h;
    op->hash_structure(h);
    return h.result();
  };
  EXPECT_EQ(hash(a), hash(b));
  EXPECT_FALSE(hash(a) == hash(c));
}

}  // namespace
}  // namespace treadle::testing
