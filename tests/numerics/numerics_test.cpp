// The numerics contract, docs/numerics.md: the largest error of each
// elementwise op for each floating dtype, over the whole line, and error
// bounds of sums, products and what is made of them. No figure may be worse
// than the recorded one; UPDATE_DOCS=1 sweeps densely and records.
#include <bit>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/ops/cumulative.h"
#include "treadle/ops/norms.h"
#include "treadle/treadle.h"

#include "tests/numerics/truth.h"

namespace treadle::testing {
namespace {

using backend::cpu::lane_table;
using backend::cpu::SimdTarget;
using plan::Lane;

constexpr const char* kPage = "docs/numerics.md";
const Dtype kFloats[] = {float16, bfloat16, float32, float64};

bool recording() { return std::getenv("UPDATE_DOCS") != nullptr; }

struct Format {
  int digits, least, largest;  // bits; exponents of 2
};
Format format_of(Dtype t) {
  switch (t) {
    case Dtype::float16:
      return {11, -24, 16};
    case Dtype::bfloat16:
      return {8, -133, 128};
    case Dtype::float32:
      return {24, -149, 128};
    default:
      return {53, -1074, 1024};
  }
}

// The distance in units in the last place of the number of the dtype next to
// `want`. Infinite when one of both is NaN or infinite, or a zero has the wrong
// sign.
double ulps(double got, Wide want, Dtype t) {
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  const Format f = format_of(t);
  if (std::isnan(want)) return std::isnan(got) ? 0 : kWrong;
  if (std::isnan(got)) return kWrong;
  if (want == 0)
    return got == 0 && std::signbit(got) == std::signbit(want) ? 0 : kWrong;
  if (std::isinf(want)) return Wide(got) == want ? 0 : kWrong;
  int exponent;
  std::frexp(want, &exponent);
  const Wide unit = std::ldexp(Wide(1), std::max(exponent - f.digits, f.least));
  if (std::isinf(got)) {
    // Numbers half a unit beyond the largest one round to infinity.
    if (std::signbit(got) != std::signbit(want)) return kWrong;
    return double((std::ldexp(Wide(1), f.largest) - std::fabs(want)) / unit);
  }
  return double(std::fabs(Wide(got) - want) / unit);
}

// Numbers of a dtype as doubles: all of a half type, a sweep through the bit
// patterns of the others, and what is special.
std::vector<double> numbers(Dtype t, uint64_t count) {
  std::vector<double> x;
  if (t == float16 || t == bfloat16) {
    for (uint32_t b = 0; b < 0x10000; ++b) {
      x.push_back(t == float16 ? half::from_float16_bits(uint16_t(b))
                               : half::from_bfloat16_bits(uint16_t(b)));
    }
    return x;
  }
  std::mt19937_64 rng(7);
  const int bits = t == float32 ? 32 : 64;
  const uint64_t step = (bits == 32 ? uint64_t(1) << 32 : ~uint64_t(0)) / count;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t b = i * step + rng() % step;
    x.push_back(t == float32 ? double(std::bit_cast<float>(uint32_t(b)))
                             : std::bit_cast<double>(b));
  }
  std::uniform_real_distribution<double> near(-8, 8), wide(-100, 100);
  for (uint64_t i = 0; i < count / 2; ++i) {
    x.push_back(near(rng));
    x.push_back(wide(rng));
  }
  for (double v : {0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 88.7, 709.7, 1e-40}) {
    x.push_back(v);
    x.push_back(-v);
  }
  const Format f = format_of(t);
  for (double s : {1.0, -1.0}) {
    x.push_back(s * std::numeric_limits<double>::infinity());
    x.push_back(s * std::ldexp(1.0, f.least));
    x.push_back(s * std::ldexp(1.0, f.least + f.digits));
    x.push_back(s * std::nextafter(1.0, 0.0));
    x.push_back(s * (t == float32 ? double(std::numeric_limits<float>::max())
                                  : std::numeric_limits<double>::max()));
  }
  x.push_back(std::numeric_limits<double>::quiet_NaN());
  for (double& v : x) {
    if (t == float32) v = double(float(v));
  }
  return x;
}

// A row's results on this instruction set, rounded to the dtype as a tape does.
std::vector<double> computed(Row row,
                             Dtype t,
                             const std::vector<double>& a,
                             const std::vector<double>& b) {
  const size_t n = a.size();
  const Lane lane = plan::lane_of(t);
  const auto fn =
      lane_table().row[static_cast<int>(row)][static_cast<int>(lane)];
  std::vector<double> out(n);
  if (lane == Lane::f64) {
    fn(n, out.data(), a.data(), b.data(), nullptr, 0);
    return out;
  }
  const std::vector<float> x(a.begin(), a.end()), y(b.begin(), b.end());
  std::vector<float> z(n);
  fn(n, z.data(), x.data(), y.data(), nullptr, 0);
  for (size_t i = 0; i < n; ++i) {
    out[i] = t == float16    ? float(float16_t(z[i]))
             : t == bfloat16 ? float(bfloat16_t(z[i]))
                             : z[i];
  }
  return out;
}

struct Figure {
  double worst = 0;
  double a = 0, b = 0;  // where
};

// Rows that say nothing about the sign of a result of zero.
bool either_zero(Row row) {
  return row == Row::maximum || row == Row::minimum || row == Row::remainder;
}

// The largest error over all instruction sets of this machine.
template <class Truth>
Figure largest(Row row,
               Dtype t,
               const std::vector<double>& a,
               const std::vector<double>& b,
               Truth truth) {
  Figure figure;
  std::vector<Wide> want(a.size());
  for (size_t i = 0; i < a.size(); ++i) want[i] = truth(a[i], b[i]);
  for (SimdTarget target :
       {SimdTarget::best, SimdTarget::avx2, SimdTarget::sse4}) {
    if (!backend::cpu::use_target(target)) continue;
    const std::vector<double> got = computed(row, t, a, b);
    for (size_t i = 0; i < a.size(); ++i) {
      if (either_zero(row) && got[i] == 0 && want[i] == 0) continue;
      const double e = ulps(got[i], want[i], t);
      if (e > figure.worst) figure = {e, a[i], b[i]};
    }
  }
  backend::cpu::use_target(SimdTarget::best);
  return figure;
}

// All pairs of special numbers, and random ones near each other and far apart.
void pairs(Dtype t,
           size_t count,
           std::vector<double>* a,
           std::vector<double>* b) {
  std::vector<double> special;
  for (double v : {0.0, 0.5, 1.0, 2.0, 3.0, 7.5, 1e4, 1e-4, 16777216.0}) {
    special.push_back(v);
    special.push_back(-v);
  }
  special.push_back(std::numeric_limits<double>::infinity());
  special.push_back(-std::numeric_limits<double>::infinity());
  special.push_back(std::numeric_limits<double>::quiet_NaN());
  for (double x : special) {
    for (double y : special) a->push_back(x), b->push_back(y);
  }
  std::mt19937 rng(11);
  std::uniform_real_distribution<double> near(-8, 8), exponent(-30, 30);
  for (size_t i = 0; i < count; ++i) {
    const bool wide = i % 2;
    a->push_back(near(rng) * (wide ? std::exp2(exponent(rng)) : 1));
    b->push_back(near(rng) * (wide ? std::exp2(exponent(rng)) : 1));
    if (i % 5 == 0) b->back() = std::round(b->back());
  }
  for (auto* v : {a, b}) {
    for (double& x : *v) {
      x = t == float16    ? double(float(float16_t(float(x))))
          : t == bfloat16 ? double(float(bfloat16_t(float(x))))
          : t == float32  ? double(float(x))
                          : x;
    }
  }
}

using Line = std::map<Dtype, Figure>;

// Figures by row, for the rows of floating numbers that have a value to judge.
std::map<std::string, Line> measure_rows(size_t count) {
  std::map<std::string, Line> out;
  for (int r = 0; r < kNumRows; ++r) {
    const Row row = Row(r);
    const RowInfo& i = info(row);
    if (!plan::takes_lane(i.rule, Lane::f32) || i.rule == Rule::compare ||
        i.rule == Rule::logical || i.rule == Rule::choose) {
      continue;
    }
    const auto unary = unary_truths().find(i.name);
    const auto binary = binary_truths().find(i.name);
    if (unary == unary_truths().end() && binary == binary_truths().end()) {
      ADD_FAILURE() << i.name << " has no true value in tests/numerics/truth.h";
      continue;
    }
    for (Dtype t : kFloats) {
      std::vector<double> a, b;
      if (i.arity == 1) {
        a = b = numbers(t, count);
        out[std::string(i.name)][t] = largest(
            row, t, a, b, [&](Wide x, Wide) { return unary->second(x); });
      } else {
        pairs(t, count, &a, &b);
        const Quotient quotient =
            t == float64
                ? [](Wide x, Wide y) { return Wide(double(x) / double(y)); }
                : [](Wide x, Wide y) { return Wide(float(x) / float(y)); };
        out[std::string(i.name)][t] =
            largest(row, t, a, b, [&](Wide x, Wide y) {
              return binary->second(x, y, quotient);
            });
      }
    }
  }
  return out;
}

// ---- sums and what is made of them ----

// Unit roundoffs of a dtype, of the numbers that went into a result.
double epsilon(Dtype t) { return std::ldexp(1.0, 1 - format_of(t).digits); }

array drawn(const Shape& shape, Dtype t, double low, double high, int seed) {
  std::mt19937 rng{uint32_t(seed)};
  std::uniform_real_distribution<double> u(low, high);
  std::vector<double> v(size_t(size_of(shape)));
  for (double& x : v) x = u(rng);
  array a = astype(array::from(v.data(), shape), t);
  a.eval();
  return a;
}

// The largest |got - want| in units of epsilon times `scale` of the element.
double error_in_units(const array& y,
                      const std::vector<Wide>& want,
                      const std::vector<Wide>& scale) {
  const std::vector<double> got = y.to_vector<double>();
  // Subnormal numbers are a spacing apart that does not shrink further.
  const Format f = format_of(y.dtype());
  const Wide least = std::ldexp(Wide(1), f.least + f.digits - 1);
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const Wide unit = std::max(scale[i], least) * epsilon(y.dtype());
    worst = std::max(worst, double(std::fabs(got[i] - want[i]) / unit));
  }
  return worst;
}

struct Bound {
  std::string scale;  // in words
  double (*measure)(Dtype t);
};

constexpr int64_t kRows = 16, kLength = 5000;

// f(row, want, scale) over rows of x.
template <class F>
double by_row(const array& x, const array& y, F f) {
  const std::vector<double> v = x.to_vector<double>();
  const size_t n = size_t(x.shape(-1)), rows = v.size() / n;
  std::vector<Wide> want, scale;
  for (size_t r = 0; r < rows; ++r) f(&v[r * n], n, want, scale);
  return error_in_units(y, want, scale);
}

using Values = std::vector<Wide>;

void sum_of(const double* x, size_t n, Values& want, Values& scale) {
  Wide s = 0, a = 0;
  for (size_t i = 0; i < n; ++i) s += x[i], a += std::fabs(Wide(x[i]));
  want.push_back(s);
  scale.push_back(a);
}

void normalised(
    const double* x, size_t n, bool centred, Values& want, Values& scale) {
  Wide mean = 0, square = 0;
  if (centred) {
    for (size_t i = 0; i < n; ++i) mean += x[i];
    mean /= Wide(n);
  }
  for (size_t i = 0; i < n; ++i) square += (x[i] - mean) * (x[i] - mean);
  const Wide factor = 1 / std::sqrt(square / Wide(n) + Wide(1e-5));
  for (size_t i = 0; i < n; ++i) {
    want.push_back((x[i] - mean) * factor);
    scale.push_back(std::max(std::fabs(Wide(x[i])), std::fabs(mean)) * factor);
  }
}

void exponentials(
    const double* x, size_t n, bool logarithm, Values& want, Values& scale) {
  Wide top = x[0], sum = 0;
  for (size_t i = 0; i < n; ++i) top = std::max(top, Wide(x[i]));
  for (size_t i = 0; i < n; ++i) sum += std::exp(x[i] - top);
  if (logarithm) {
    want.push_back(top + std::log(sum));
    scale.push_back(std::max(Wide(1), std::fabs(want.back())));
    return;
  }
  for (size_t i = 0; i < n; ++i) {
    want.push_back(std::exp(x[i] - top) / sum);
    // The rounding of x - top grows with its size.
    scale.push_back(want.back() * (1 + std::fabs(x[i] - top)));
  }
}

double product_error(Dtype t, bool left_transposed) {
  const int64_t m = 33, k = 700, n = 40;
  array a = drawn({m, k}, t, -1, 1, 1), b = drawn({k, n}, t, -1, 1, 2);
  const array left = left_transposed ? transpose(contiguous(transpose(a))) : a;
  array y = matmul(left, b);
  const std::vector<double> x = a.to_vector<double>(),
                            w = b.to_vector<double>();
  Values want, scale;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      Wide s = 0, size = 0;
      for (int64_t l = 0; l < k; ++l) {
        const Wide p = Wide(x[size_t(i * k + l)]) * w[size_t(l * n + j)];
        s += p, size += std::fabs(p);
      }
      want.push_back(s);
      scale.push_back(size);
    }
  }
  return error_in_units(y, want, scale);
}

const std::map<std::string, Bound>& bounds() {
  static const std::map<std::string, Bound> all = {
      {"sum of 5000",
       {"the sum of magnitudes",
        [](Dtype t) {
          array x = drawn({kRows, kLength}, t, -1, 1, 1);
          return by_row(x, sum(x, -1), sum_of);
        }}},
      {"sum of 5000, down the columns",
       {"the sum of magnitudes",
        [](Dtype t) {
          array x = drawn({kRows, kLength}, t, -1, 1, 1);
          return by_row(x, sum(contiguous(transpose(x)), 0), sum_of);
        }}},
      {"mean of 5000",
       {"the mean magnitude",
        [](Dtype t) {
          array x = drawn({kRows, kLength}, t, -1, 1, 2);
          return by_row(
              x,
              mean(x, -1),
              [](const double* v, size_t n, Values& want, Values& scale) {
                sum_of(v, n, want, scale);
                want.back() /= Wide(n);
                scale.back() /= Wide(n);
              });
        }}},
      {"cumsum of 5000",
       {"the sum of magnitudes so far",
        [](Dtype t) {
          array x = drawn({kRows, kLength}, t, -1, 1, 3);
          return by_row(
              x,
              cumsum(x, -1),
              [](const double* v, size_t n, Values& want, Values& scale) {
                Wide s = 0, a = 0;
                for (size_t i = 0; i < n; ++i) {
                  want.push_back(s += v[i]);
                  scale.push_back(a += std::fabs(Wide(v[i])));
                }
              });
        }}},
      {"prod of 64",
       {"the product",
        [](Dtype t) {
          array x = drawn({kRows, 64}, t, 0.8, 1.25, 4);
          return by_row(
              x,
              prod(x, -1),
              [](const double* v, size_t n, Values& want, Values& scale) {
                Wide p = 1;
                for (size_t i = 0; i < n; ++i) p *= v[i];
                want.push_back(p);
                scale.push_back(p);
              });
        }}},
      {"logsumexp of 5000",
       {"the result, at least 1",
        [](Dtype t) {
          array x = drawn({kRows, kLength}, t, -8, 8, 5);
          return by_row(
              x,
              logsumexp(x, -1),
              [](const double* v, size_t n, Values& want, Values& scale) {
                exponentials(v, n, true, want, scale);
              });
        }}},
      {"softmax of 5000",
       {"the result, times 1 + distance to the largest input",
        [](Dtype t) {
          array x = drawn({kRows, kLength}, t, -8, 8, 6);
          return by_row(
              x,
              softmax(x, -1),
              [](const double* v, size_t n, Values& want, Values& scale) {
                exponentials(v, n, false, want, scale);
              });
        }}},
      {"layer_norm of 5000",
       {"the larger of x and the mean, normalised",
        [](Dtype t) {
          array x = drawn({kRows, kLength}, t, -1, 3, 7);
          return by_row(
              x,
              fast::layer_norm(x, {}, {}, 1e-5),
              [](const double* v, size_t n, Values& want, Values& scale) {
                normalised(v, n, true, want, scale);
              });
        }}},
      {"rms_norm of 5000",
       {"the result",
        [](Dtype t) {
          array x = drawn({kRows, kLength}, t, -1, 3, 8);
          return by_row(
              x,
              fast::rms_norm(x, {}, 1e-5),
              [](const double* v, size_t n, Values& want, Values& scale) {
                normalised(v, n, false, want, scale);
              });
        }}},
      {"matmul, 700 terms",
       {"the sum of the products' magnitudes",
        [](Dtype t) { return product_error(t, false); }}},
      {"matmul, left factor transposed",
       {"the sum of the products' magnitudes",
        [](Dtype t) { return product_error(t, true); }}},
  };
  return all;
}

// ---- the page ----

constexpr std::string_view kHead = R"(# Numerics

The largest error of each operation, in units in the last place (ulp) of the result's dtype: 0.5 is correctly rounded. Measured
by `UPDATE_DOCS=1 build/release/tests/numerics_test`; a test measures again, with fewer numbers, and fails when a figure is worse.

## Elementwise

Over all numbers of a half type and a sweep through all exponents of the others, with subnormals, both zeros, infinities and NaN,
on every instruction set that the machine has. Special values are right everywhere: a NaN, an infinity or the sign of a zero that
was wrong would count as an infinite error. Two arguments: all pairs of special numbers, and random ones up to 2^30 apart.
Half types are computed in float32 and rounded once. floor_divide is the floor of the rounded quotient. The sign of a zero is not
part of maximum, minimum and remainder. logaddexp of float64 is as exact where its result is near 0 as x87's long double is wide; on
machines that have none, it has the absolute error of its larger argument there.

| op | float16 | bfloat16 | float32 | float64 |
|---|---|---|---|---|
)";

constexpr std::string_view kMiddle = R"(
## Sums, products and what is made of them

The largest |result - truth|, divided by the unit roundoff spacing (2^-10, 2^-7, 2^-23, 2^-52) times a scale: what the problem's
own conditioning allows. Inputs are uniform random numbers.

| function | float16 | bfloat16 | float32 | float64 | scale |
|---|---|---|---|---|---|
)";

// Two digits after the point, rounded up.
std::string figure(double v) {
  return std::isinf(v) ? "inf"
                       : fmt::format("{:.2f}", std::ceil(v * 100) / 100);
}

// The recorded figures: by name, in the order of kFloats.
std::map<std::string, std::vector<double>> recorded() {
  std::map<std::string, std::vector<double>> out;
  std::ifstream in(kPage);
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with("| ")) continue;
    std::istringstream cells(line.substr(2));
    std::string name, cell;
    std::getline(cells, name, '|');
    std::vector<double> v;
    while (v.size() < 4 && std::getline(cells, cell, '|')) {
      v.push_back(std::strtod(cell.c_str(), nullptr));
    }
    out[name.substr(0, name.find_last_not_of(' ') + 1)] = v;
  }
  return out;
}

void expect_no_worse(const std::string& name,
                     size_t column,
                     double got,
                     double factor,
                     double slack) {
  static const auto page = recorded();
  const auto it = page.find(name);
  ASSERT_TRUE(it != page.end() && it->second.size() == 4)
      << name << " is not in " << kPage << "; UPDATE_DOCS=1 records it";
  EXPECT_LE(got, factor * it->second[column] + slack)
      << name << " of " << name_of(kFloats[column]);
}

TEST(Numerics, NoFigureIsWorseThanRecorded) {
  if (recording()) GTEST_SKIP() << "the page is being written";
  for (const auto& [name, line] : measure_rows(20'000)) {
    for (size_t i = 0; i < 4; ++i) {
      const Figure& f = line.at(kFloats[i]);
      SCOPED_TRACE(fmt::format("worst at {}, {}", f.a, f.b));
      expect_no_worse(name, i, f.worst, 1, 0.05);
    }
  }
  for (const auto& [name, bound] : bounds()) {
    // The order of sums depends on the width of vectors, that of products on
    // the library and the machine.
    const double factor = name.starts_with("matmul") ? 2 : 1.25;
    for (size_t i = 0; i < 4; ++i) {
      expect_no_worse(name, i, bound.measure(kFloats[i]), factor, 0.1);
    }
  }
}

TEST(Numerics, ThePageIsWritten) {
  if (!recording()) GTEST_SKIP() << "UPDATE_DOCS=1 writes the page";
  std::string page(kHead);
  for (const auto& [name, line] : measure_rows(1'000'000)) {
    page += "| " + name;
    for (Dtype t : kFloats) {
      const Figure& f = line.at(t);
      if (f.worst > 2) {
        fmt::print(
            "{} of {}: {} at {}, {}\n", name, name_of(t), f.worst, f.a, f.b);
      }
      page += " | " + figure(f.worst);
    }
    page += " |\n";
  }
  page += kMiddle;
  for (const auto& [name, bound] : bounds()) {
    page += "| " + name;
    for (Dtype t : kFloats) page += " | " + figure(bound.measure(t));
    page += " | " + bound.scale + " |\n";
  }
  std::ofstream(kPage) << page;
}

TEST(Numerics, UnitsAreCounted) {
  EXPECT_EQ(ulps(1.0 + 0x1p-23, 1, float32), 1);
  EXPECT_EQ(ulps(1.0 - 0x1p-24, 1, float32), 0.5);
  EXPECT_EQ(ulps(0x1p-149, Wide(0x1p-149) * 1.5L, float32), 0.5);
  EXPECT_TRUE(std::isinf(ulps(-0.0, 0, float32)));
  EXPECT_TRUE(std::isinf(ulps(1, NAN, float32)));
  EXPECT_LE(ulps(INFINITY, Wide(65519.9), float16), 0.51);
  EXPECT_GE(ulps(INFINITY, Wide(65000), float16), 1);
}

}  // namespace
}  // namespace treadle::testing
