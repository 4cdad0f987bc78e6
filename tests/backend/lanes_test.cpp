// The functions that tapes are made of, against the scalar table and against
// double precision, on every instruction set of this machine.
#include <cmath>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/vm.h"

namespace treadle {
namespace {

using backend::cpu::kSplatBytes;
using backend::cpu::lane_table;
using backend::cpu::LaneTable;
using backend::cpu::MoveFn;
using backend::cpu::ReduceFns;
using backend::cpu::RowFn;
using backend::cpu::scalar_table;
using backend::cpu::SimdTarget;
using plan::Lane;

// Runs a test for each instruction set that this machine has.
class OnEveryTarget : public ::testing::TestWithParam<SimdTarget> {
 protected:
  void SetUp() override {
    if (!backend::cpu::use_target(GetParam())) {
      GTEST_SKIP() << "this machine has no such instructions";
    }
  }
  void TearDown() override { backend::cpu::use_target(SimdTarget::best); }
};

const Row kAllRows[] = {
#define UNARY(name, ...) Row::name,
#define BINARY(name, ...) Row::name,
#define TERNARY(name, ...) Row::name,
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
};

RowFn fn(const LaneTable& t, Row row, Lane lane) {
  return t.row[static_cast<int>(row)][static_cast<int>(lane)];
}

// The distance in units in the last place of the float next to `want`.
double ulps(float got, double want) {
  if (std::isnan(want)) return std::isnan(got) ? 0 : 1e9;
  const float nearest = static_cast<float>(want);
  if (std::isinf(nearest)) {
    if (got == nearest) return 0;
    // Just below the overflow, the largest float is as good.
    return std::isinf(want) || std::abs(got) < 3.4028234e38f ? 1e9 : 1;
  }
  int exponent;
  std::frexp(want, &exponent);
  return std::abs(got - want) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

// Error allowed for a float row, in ULP, over the whole line: what vm-inl.h
// says.
double float_limit(Row row) {
  switch (row) {
    case Row::exp:
      return 1.0;
    case Row::expm1:
      return 1.3;
    case Row::log:
      return 0.75;
    case Row::rsqrt:
      return 1.5;
    case Row::sin:
    case Row::cos:
      return 1.5;
    case Row::tanh:
      return 2.1;
    case Row::sigmoid:
      return 1.8;
    case Row::erf:
      return 1.2;
    case Row::erfinv:
      return 0.55;
    case Row::logaddexp:
      return 1.4;
    case Row::floor_divide:
      return 0;  // compared with the float quotient
    default:
      return 0.501;
  }
}

std::vector<float> sweep(unsigned step) {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += step) {
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  }
  for (float v : {0.0f,
                  1.0f,
                  0.5f,
                  2.0f,
                  1e-40f,
                  88.72f,
                  88.73f,
                  103.9f,
                  709.0f,
                  1.5707964f,
                  3.4028235e38f,
                  1.17549435e-38f,
                  1.4e-45f,
                  std::numeric_limits<float>::infinity(),
                  std::numeric_limits<float>::quiet_NaN()}) {
    x.push_back(v);
    x.push_back(-v);
  }
  return x;
}

TEST_P(OnEveryTarget, UnaryFloatRowsKeepTheirErrorOverTheWholeLine) {
  const std::vector<float> x = sweep(40009);
  std::vector<float> y(x.size());
  std::vector<double> wide(x.begin(), x.end()), want(x.size());
  for (Row row : kAllRows) {
    if (info(row).arity != 1 || !plan::takes_lane(info(row).rule, Lane::f32))
      continue;
    fn(lane_table(), row, Lane::f32)(
        x.size(), y.data(), x.data(), nullptr, nullptr, 0);
    fn(scalar_table(), row, Lane::f64)(
        x.size(), want.data(), wide.data(), nullptr, nullptr, 0);
    double worst = 0;
    float at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double e = ulps(y[i], want[i]);
      if (e > worst) worst = e, at = x[i];
      if (want[i] == 0 && row != Row::sign) {
        EXPECT_EQ(std::signbit(y[i]), std::signbit(want[i]))
            << info(row).name << " of " << x[i];
      }
    }
    EXPECT_LE(worst, float_limit(row)) << info(row).name << " of " << at;
  }
}

TEST_P(OnEveryTarget, BinaryFloatRowsKeepTheirError) {
  std::mt19937 gen(1);
  std::vector<float> a, b;
  const std::vector<float> special = {0.0f,
                                      -0.0f,
                                      1.0f,
                                      -1.0f,
                                      0.5f,
                                      -0.5f,
                                      2.0f,
                                      -2.0f,
                                      3.0f,
                                      -3.0f,
                                      1e-40f,
                                      -1e-40f,
                                      1e30f,
                                      -1e30f,
                                      16777216.0f,
                                      16777217.0f,
                                      -8388609.5f,
                                      3.4028235e38f,
                                      std::numeric_limits<float>::infinity(),
                                      -std::numeric_limits<float>::infinity(),
                                      std::numeric_limits<float>::quiet_NaN()};
  for (float x : special) {
    for (float y : special) a.push_back(x), b.push_back(y);
  }
  std::uniform_real_distribution<float> near(-8, 8), exponent(-30, 30);
  for (int i = 0; i < 40000; ++i) {
    const bool wide = i % 2;
    a.push_back(near(gen) * (wide ? std::exp2(exponent(gen)) : 1));
    b.push_back(near(gen) * (wide ? std::exp2(exponent(gen)) : 1));
    if (i % 5 == 0) b.back() = std::round(b.back());
  }
  std::vector<float> y(a.size());
  std::vector<double> wa(a.begin(), a.end()), wb(b.begin(), b.end()),
      want(a.size());
  for (Row row : kAllRows) {
    const Rule rule = info(row).rule;
    if (info(row).arity != 2 || !plan::takes_lane(rule, Lane::f32)) continue;
    if (rule == Rule::compare || row == Row::floor_divide)
      continue;  // the next test
    fn(lane_table(), row, Lane::f32)(
        a.size(), y.data(), a.data(), b.data(), nullptr, 0);
    fn(scalar_table(), row, Lane::f64)(
        a.size(), want.data(), wa.data(), wb.data(), nullptr, 0);
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      const double e = ulps(y[i], want[i]);
      if (e > worst) worst = e, at = i;
    }
    EXPECT_LE(worst, float_limit(row))
        << info(row).name << " of " << a[at] << ", " << b[at];
  }
}

// Random bytes of a lane: all bit patterns of numbers, and small integers.
std::vector<char> random_lanes(Lane lane, size_t n, unsigned seed) {
  std::mt19937_64 gen(seed);
  const size_t size = backend::cpu::size_of(lane);
  std::vector<char> bytes(n * size);
  for (size_t i = 0; i < n; ++i) {
    const int64_t small = static_cast<int64_t>(gen() % 21) - 10;
    uint64_t bits = gen();
    char* to = bytes.data() + i * size;
    const bool tame = gen() % 2;
    switch (lane) {
      case Lane::f32:
        if (tame)
          bits = std::bit_cast<uint32_t>(static_cast<float>(small) * 0.75f);
        break;
      case Lane::f64:
        if (tame)
          bits = std::bit_cast<uint64_t>(static_cast<double>(small) * 0.75);
        break;
      case Lane::c64:
        bits = std::bit_cast<uint32_t>(static_cast<float>(small) * 0.75f) |
               uint64_t(std::bit_cast<uint32_t>(float(bits % 9) - 4)) << 32;
        break;
      default:
        if (tame) bits = static_cast<uint64_t>(small);
    }
    std::memcpy(to, &bits, size);
  }
  return bytes;
}

bool same_lane(Lane lane, const char* a, const char* b) {
  if (std::memcmp(a, b, backend::cpu::size_of(lane)) == 0) return true;
  const auto equal = [&]<class T>(T) {
    T x, y;
    std::memcpy(&x, a, sizeof(T));
    std::memcpy(&y, b, sizeof(T));
    return x == y ||
           (x != x && y != y);  // zeros of both signs agree, and all NaN
  };
  if (lane == Lane::f32) return equal(0.0f);
  if (lane == Lane::f64) return equal(0.0);
  if (lane == Lane::c64)
    return same_lane(Lane::f32, a, b) && same_lane(Lane::f32, a + 4, b + 4);
  return false;
}

// Whether a row is exact, so that vectors must agree with scalars bit by bit.
bool exact(Row row, Lane lane) {
  if (lane == Lane::f32) return float_limit(row) <= 0.501 && row != Row::power;
  return true;
}

TEST_P(OnEveryTarget, EveryRowAgreesWithItsScalarOnEveryLane) {
  for (Row row : kAllRows) {
    const RowInfo& r = info(row);
    for (int l = 0; l < plan::kNumLanes; ++l) {
      const Lane lane = static_cast<Lane>(l);
      if (!plan::takes_lane(r.rule, lane)) {
        EXPECT_EQ(fn(lane_table(), row, lane), nullptr) << r.name;
        continue;
      }
      const Lane out = plan::result_lane(r.rule, lane);
      const size_t n = 1000;
      const bool choose = r.rule == Rule::choose;
      auto a = random_lanes(choose ? Lane::u32 : lane, n, 1);
      auto b = random_lanes(lane, n, 2);
      const auto c = random_lanes(lane, n, 3);
      if (choose || r.rule == Rule::logical) {
        for (auto* v : {&a, &b}) {
          if (choose && v == &b) continue;
          auto* u = reinterpret_cast<uint32_t*>(v->data());
          for (size_t i = 0; i < n; ++i) u[i] &= 1;
        }
      }
      std::vector<char> got(n * 8), want(n * 8);
      fn(lane_table(), row, lane)(
          n, got.data(), a.data(), b.data(), c.data(), 0);
      fn(scalar_table(), row, lane)(
          n, want.data(), a.data(), b.data(), c.data(), 0);
      if (!exact(row, lane)) continue;
      const size_t size = backend::cpu::size_of(out);
      for (size_t i = 0; i < n; ++i) {
        ASSERT_TRUE(
            same_lane(out, got.data() + i * size, want.data() + i * size))
            << r.name << " on " << plan::name_of(lane) << " at " << i;
      }
    }
  }
}

TEST_P(OnEveryTarget, IntegersDivideAtTheEdgesOfTheirRange) {
  std::vector<uint32_t> edges;
  for (uint32_t v :
       {0u, 1u, 2u, 3u, 7u, 0x7ffffffeu, 0x7fffffffu, 0x80000000u}) {
    for (uint32_t x : {v, 0u - v, ~v, 0x55555555u / (v + 1)})
      edges.push_back(x);
  }
  std::vector<uint32_t> a, b;
  for (uint32_t x : edges) {
    for (uint32_t y : edges) a.push_back(x), b.push_back(y);
  }
  const size_t n = a.size();
  std::vector<uint32_t> got(n), want(n);
  for (Row row : {Row::floor_divide, Row::remainder}) {
    for (Lane lane : {Lane::i32, Lane::u32}) {
      fn(lane_table(), row, lane)(
          n, got.data(), a.data(), b.data(), nullptr, 0);
      fn(scalar_table(), row, lane)(
          n, want.data(), a.data(), b.data(), nullptr, 0);
      for (size_t i = 0; i < n; ++i) {
        EXPECT_EQ(got[i], want[i])
            << info(row).name << " on " << plan::name_of(lane) << " of " << a[i]
            << ", " << b[i];
      }
    }
  }
}

TEST_P(OnEveryTarget, AValueDoesNotDependOnWhereItsRunBegins) {
  for (Row row : kAllRows) {
    const RowInfo& r = info(row);
    for (int l = 0; l < plan::kNumLanes; ++l) {
      const Lane lane = static_cast<Lane>(l);
      const RowFn f = fn(lane_table(), row, lane);
      if (!f) continue;
      const Lane first = r.rule == Rule::choose ? Lane::u32 : lane;
      const size_t n = 150;
      const auto a = random_lanes(first, n, 4), b = random_lanes(lane, n, 5),
                 c = random_lanes(lane, n, 6);
      const size_t sa = backend::cpu::size_of(first),
                   s = backend::cpu::size_of(lane),
                   so = backend::cpu::size_of(plan::result_lane(r.rule, lane));
      std::vector<char> whole(n * so), pieces(n * so + 8, 0x55);
      f(n, whole.data(), a.data(), b.data(), c.data(), 0);
      size_t at = 0;
      for (size_t length : {1, 2, 3, 5, 7, 15, 16, 17, 33, 51}) {
        f(length,
          pieces.data() + at * so,
          a.data() + at * sa,
          b.data() + at * s,
          c.data() + at * s,
          0);
        at += length;
      }
      ASSERT_EQ(at, n);
      EXPECT_EQ(std::memcmp(whole.data(), pieces.data(), n * so), 0)
          << r.name << " on " << plan::name_of(lane);
      EXPECT_EQ(pieces[n * so], 0x55) << r.name;
    }
  }
}

TEST_P(OnEveryTarget, ASplatIsAsGoodAsARunOfTheValue) {
  for (Row row :
       {Row::add, Row::divide, Row::less, Row::select, Row::exp, Row::power}) {
    for (Lane lane : {Lane::f32, Lane::f64, Lane::c64}) {
      const RowFn f = fn(lane_table(), row, lane);
      const Lane first = info(row).rule == Rule::choose ? Lane::u32 : lane;
      const size_t n = 37, s = backend::cpu::size_of(lane),
                   sa = backend::cpu::size_of(first);
      for (unsigned splat = 0; splat < 8; ++splat) {
        auto a = random_lanes(first, n, 7), b = random_lanes(lane, n, 8),
             c = random_lanes(lane, n, 9);
        std::vector<char> cells[3];
        const auto fill = [&](std::vector<char>& run, size_t size, int k) {
          for (size_t i = 0; i < n; ++i)
            std::memcpy(run.data() + i * size, run.data(), size);
          cells[k].resize(kSplatBytes);
          for (size_t i = 0; i < kSplatBytes; i += size) {
            std::memcpy(cells[k].data() + i, run.data(), size);
          }
        };
        if (splat & 1) fill(a, sa, 0);
        if (splat & 2) fill(b, s, 1);
        if (splat & 4) fill(c, s, 2);
        std::vector<char> want(n * 8), got(n * 8);
        f(n, want.data(), a.data(), b.data(), c.data(), 0);
        f(n,
          got.data(),
          splat & 1 ? cells[0].data() : a.data(),
          splat & 2 ? cells[1].data() : b.data(),
          splat & 4 ? cells[2].data() : c.data(),
          splat);
        EXPECT_EQ(want, got) << info(row).name << " " << splat;
      }
    }
  }
}

TEST_P(OnEveryTarget, LoadsAndStoresAgreeWithScalarsForAllDtypes) {
  std::mt19937_64 gen(11);
  const size_t n = 65536;  // all halves, and all pairs of bytes
  for (int d = 0; d < kNumDtypes; ++d) {
    const Dtype dtype = static_cast<Dtype>(d);
    const Lane lane = plan::lane_of(dtype);
    const size_t size = size_of(dtype), ls = backend::cpu::size_of(lane);
    std::vector<char> memory(n * size);
    for (size_t i = 0; i < n; ++i) {
      uint64_t bits = size == 2 ? i : gen();
      if (dtype == bool_) bits &= 1;
      std::memcpy(memory.data() + i * size, &bits, size);
    }
    std::vector<char> got(n * ls), want(n * ls);
    lane_table().load[d](n - 3, got.data(), memory.data());
    scalar_table().load[d](n - 3, want.data(), memory.data());
    for (size_t i = 0; i < n - 3; ++i) {
      ASSERT_TRUE(same_lane(lane, got.data() + i * ls, want.data() + i * ls))
          << name_of(dtype) << " " << i;
    }
    auto lanes = random_lanes(lane, n, 12);
    if (lane == Lane::f32) {
      // Every half and the ties next to it.
      auto* x = reinterpret_cast<float*>(lanes.data());
      for (size_t i = 0; i < n; ++i) {
        const float h = half::from_float16_bits(static_cast<uint16_t>(i));
        x[i] = dtype == bfloat16
                   ? std::bit_cast<float>(
                         uint32_t(i << 16) |
                         static_cast<uint32_t>(gen() % 3 + 0x7fffu))
                   : h * (1 + 0.00048828125f * float(i % 3));
      }
    }
    std::vector<char> got_m(n * size), want_m(n * size);
    lane_table().store[d](n - 5, got_m.data(), lanes.data());
    scalar_table().store[d](n - 5, want_m.data(), lanes.data());
    for (size_t i = 0; i < n - 5; ++i) {
      if (is_half(dtype) &&
          std::isnan(reinterpret_cast<float*>(lanes.data())[i])) {
        uint16_t bits;
        std::memcpy(&bits, got_m.data() + 2 * i, 2);
        EXPECT_TRUE(std::isnan(dtype == float16
                                   ? half::from_float16_bits(bits)
                                   : half::from_bfloat16_bits(bits)));
        continue;
      }
      ASSERT_EQ(
          std::memcmp(got_m.data() + i * size, want_m.data() + i * size, size),
          0)
          << name_of(dtype) << " " << i;
    }
  }
}

TEST_P(OnEveryTarget, ConversionsAgreeWithScalarsForAllPairs) {
  const size_t n = 3001;
  for (int l = 0; l < plan::kNumLanes; ++l) {
    const Lane from = static_cast<Lane>(l);
    auto in = random_lanes(from, n, 13);
    if (from == Lane::f32) {
      const float edges[] = {2147483648.0f,
                             -2147483648.0f,
                             2147483520.0f,
                             1e20f,
                             -1e20f,
                             NAN,
                             INFINITY,
                             -INFINITY,
                             -0.5f,
                             4294967296.0f,
                             65520.0f,
                             1e-8f};
      std::memcpy(in.data(), edges, sizeof(edges));
    }
    for (int d = 0; d < kNumDtypes; ++d) {
      const Lane to = plan::lane_of(static_cast<Dtype>(d));
      std::vector<char> got(n * 8), want(n * 8);
      lane_table().convert[l][d](n, got.data(), in.data());
      scalar_table().convert[l][d](n, want.data(), in.data());
      const size_t size = backend::cpu::size_of(to);
      for (size_t i = 0; i < n; ++i) {
        ASSERT_TRUE(
            same_lane(to, got.data() + i * size, want.data() + i * size))
            << plan::name_of(from) << " to " << name_of(static_cast<Dtype>(d))
            << " at " << i;
      }
    }
  }
}

TEST_P(OnEveryTarget, ReductionsAgreeWithScalarsOnEveryLane) {
  for (int l = 0; l < plan::kNumLanes; ++l) {
    const Lane lane = static_cast<Lane>(l);
    const size_t size = backend::cpu::size_of(lane);
    for (int k = 0; k < backend::cpu::kNumReduceKinds; ++k) {
      const ReduceFns& fast = lane_table().reduce[k][l];
      const ReduceFns& slow = scalar_table().reduce[k][l];
      ASSERT_EQ(fast.acc_size, slow.acc_size);
      for (size_t n : {0, 1, 2, 15, 16, 17, 63, 64, 65, 500}) {
        const size_t rows = 3;
        auto in = random_lanes(lane, rows * n + 1, 14 + n);
        if (lane == Lane::f32) {
          auto* x = reinterpret_cast<float*>(in.data());
          for (size_t i = 0; i < rows * n; ++i)
            x[i] = float(int(i * 37 % 5) - 2);  // exact
        } else if (lane == Lane::f64) {
          auto* x = reinterpret_cast<double*>(in.data());
          for (size_t i = 0; i < rows * n; ++i)
            x[i] = double(int(i * 37 % 5) - 2);
        }
        std::vector<char> got(rows * size), want(rows * size);
        fast.rows(rows, n, got.data(), in.data());
        slow.rows(rows, n, want.data(), in.data());
        for (size_t r = 0; r < rows; ++r) {
          EXPECT_TRUE(
              same_lane(lane, got.data() + r * size, want.data() + r * size))
              << plan::name_of(lane) << " kind " << k << " of " << n;
        }
        // The same through accumulators, in two pieces and elementwise.
        alignas(16) char acc[2][1600 * 16];
        for (const ReduceFns* f : {&fast, &slow}) {
          char* at = acc[f == &slow];
          f->init(1, at);
          f->fold(n / 2, at, in.data());
          f->fold(n - n / 2, at, in.data() + n / 2 * size);
          char lane_out[8];
          f->finish(1, lane_out, at);
          EXPECT_TRUE(same_lane(lane, lane_out, want.data()))
              << plan::name_of(lane) << " kind " << k << " of " << n
              << " folded";
          f->init(n, at);
          f->add(2, n, at, in.data());
        }
        EXPECT_EQ(std::memcmp(acc[0], acc[1], n * fast.acc_size), 0)
            << plan::name_of(lane) << " kind " << k << " of " << n << " added";
      }
    }
  }
}

TEST_P(OnEveryTarget, MaximaAndMinimaKeepNan) {
  for (size_t n : {1, 5, 16, 40, 100}) {
    for (size_t at = 0; at < n; at += 3) {
      std::vector<float> x(n, 1.0f);
      x[at] = NAN;
      for (ReduceKind kind : {ReduceKind::max, ReduceKind::min}) {
        float y = 0;
        lane_table().reduce[static_cast<int>(kind)][0].rows(1, n, &y, x.data());
        EXPECT_TRUE(std::isnan(y)) << n << " " << at;
      }
    }
  }
}

TEST_P(OnEveryTarget, StreamingCopiesFromAndToAnywhere) {
  std::vector<char> from(3000), to(3100);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<char>(i * 7);
  for (size_t offset : {0, 1, 4, 63, 64}) {
    for (size_t n : {0, 1, 63, 64, 65, 1000}) {
      std::fill(to.begin(), to.end(), 0x11);
      lane_table().stream(n, to.data() + offset, from.data() + 3);
      lane_table().fence();
      EXPECT_EQ(std::memcmp(to.data() + offset, from.data() + 3, n), 0);
      EXPECT_EQ(to[offset + n], 0x11);
    }
  }
}

TEST(ScalarLanes, ErfinvIsGoodToThePrecisionOfDouble) {
  for (double y : {1e-300, 1e-10, 0.01, 0.3, 0.49, 0.51, 0.9, 1.5, 2.5, 3.5}) {
    const double x = std::erf(y);
    double got;
    fn(scalar_table(), Row::erfinv, Lane::f64)(
        1, &got, &x, nullptr, nullptr, 0);
    // x is rounded: y may move by the rounding over the slope.
    const double slope = 1.1283791670955126 * std::exp(-y * y);
    const double slack = 2.3e-16 * x / slope;
    EXPECT_NEAR(got, y, slack + 4 * 2.3e-16 * y) << y;
  }
}

std::string target_name(const ::testing::TestParamInfo<SimdTarget>& info) {
  constexpr const char* names[] = {"best", "avx2", "sse4"};
  return names[static_cast<int>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Targets,
                         OnEveryTarget,
                         ::testing::Values(SimdTarget::best,
                                           SimdTarget::avx2,
                                           SimdTarget::sse4),
                         target_name);

}  // namespace
}  // namespace treadle
