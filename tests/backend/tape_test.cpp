// Whole tapes on the CPU, against their meaning evaluated in double.
#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "tests/backend/tape_meaning.h"

namespace treadle::testing {
namespace {

using plan::Lane;
using plan::OutputForm;
using plan::Tape;
using plan::TapeValue;

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

// Small calls of one step take a way of their own, up to 4096 elements.
TEST(Tape, ALoneStepHasItsMeaningSmallAndLarge) {
  for (Dtype dtype : {float32, float64, int32}) {
    TapeMaker two;
    const auto a = two.load(dtype), b = two.load(dtype);
    two.store(two.row(Row::subtract, a, b));
    for (int64_t n : {0, 1, 3, 16, 17, 1000, 4096, 4097}) {
      const Shape space{n};
      const Tensor x = naturals(dtype, space, 1), y = naturals(dtype, space, 2),
                   s = scalar_over(space, dtype, 2);
      const std::vector<std::vector<Tensor>> operands = {
          {x, y}, {x, s}, {s, y}, {s, s}, {x, x}};
      for (const auto& in : operands)
        expect_meaning(two.op(), space, in, 0, "lone");
      const auto want = run_tape(*two.op(), space, {x, y})[0];
      for (int place : {0, 1}) {
        const auto got = run_tape(*two.op(), space, {x, y}, 1, {place})[0];
        EXPECT_EQ(want.memory, got.memory) << n;
      }
    }
    const Shape space{5, 7};
    expect_meaning(two.op(),
                   space,
                   {naturals(dtype, {7, 5}, 1).transposed({1, 0}),
                    naturals(dtype, {7}, 2).broadcast(space)},
                   0,
                   "lone, strided");
  }
  // The operands of a choice have lanes of other widths.
  TapeMaker choice;
  const auto c = choice.load(uint32), x = choice.load(float64),
             y = choice.load(float64);
  choice.store(choice.row(Row::select, c, x, y));
  for (int64_t n : {1, 5, 300}) {
    const Shape space{n};
    expect_meaning(choice.op(),
                   space,
                   {naturals(uint32, space, 1, 1),
                    normal(float64, space, 2),
                    scalar_over(space, float64, 0.5)},
                   0,
                   "choice");
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

TEST(Tape, ANumberOfARowIsSpreadAlongIt) {
  for (const Shape& space : {Shape{64, 256},
                             Shape{700, 2},
                             Shape{5, 6, 7, 3},
                             Shape{16, 16, 16, 16},
                             Shape{3, 9, 1500}}) {
    for (Dtype dtype : {bool_, int8, bfloat16, float32, float64, complex64}) {
      TapeMaker t;
      const auto x = t.load(dtype), y = t.load(dtype), z = t.load(dtype);
      const Row row = dtype == bool_ ? Row::maximum : Row::add;
      t.store(t.row(row, t.row(row, x, y), z));
      Shape ends = space, firsts = space;
      ends.back() = 1;
      firsts.front() = 1;
      expect_meaning(t.op(),
                     space,
                     {naturals(dtype, ends, 1).broadcast(space),
                      naturals(dtype, space, 2),
                      naturals(dtype, firsts, 3).broadcast(space)},
                     0);
    }
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
