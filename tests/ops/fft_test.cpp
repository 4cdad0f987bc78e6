// Fourier transforms: derivatives, which are exact since all are linear,
// lengths of every kind, and signals through stft and back.
#include <gtest/gtest.h>

#include "treadle/backend/cpu/parallel.h"

#include "tests/cases/products.h"

namespace treadle::testing {

class FourierTransform : public ::testing::TestWithParam<OpCase> {};
TEST_P(FourierTransform, PassesAllChecks) { check_all(GetParam()); }

namespace {

constexpr double kEpsilon = 1.0 / (1 << 23);

double dot(const array& a, const array& b) {
  return sum(astype(a, float64) * astype(b, float64)).item<double>();
}

std::string name(const ::testing::TestParamInfo<OpCase>& info) {
  return info.param.name;
}

}  // namespace

// f is linear: its tangent is f itself, and the gradient g of <f(x), u> is f's
// transpose, <g, t> = <f(t), u> for every t.
TEST_P(FourierTransform, DerivativesAreItselfAndItsTranspose) {
  const OpCase& c = GetParam();
  ArraysFn f = [&](const Arrays& x) { return Arrays{c.f(x)}; };
  const Arrays x = draw(c, {}, 0), t = draw(c, {}, 1);
  const array y = c.f(t), u = draw({"", {}, {{y.shape()}}}, {}, 2)[0];
  expect_close(jvp(f, x, t).second[0], y, 16, c.name + " tangent", 1);
  ArraysFn back = [&](const Arrays& a) { return vjp(f, a, {u}).second; };
  const Arrays g = back(x);
  double left = 0;
  for (size_t i = 0; i < g.size(); ++i) left += dot(g[i], t[i]);
  const double scale = std::sqrt(dot(y, y) * dot(u, u));
  EXPECT_NEAR(left, dot(y, u), 4e-7 * scale);
  // The gradient does not depend on x, and is itself linear in u.
  std::vector<int> all;
  ArraysFn square = [&](const Arrays& a) {
    const array v = c.f(a);
    return Arrays{0.5 * sum(v * v)};
  };
  for (size_t i = 0; i < x.size(); ++i) all.push_back(int(i));
  // The second derivative of |f|^2 / 2 along t twice is |f(t)|^2.
  ArraysFn slope = [&](const Arrays& a) { return grad(square, all)(a); };
  const Arrays curved = jvp(slope, x, t).second;
  double second = 0;
  for (size_t i = 0; i < t.size(); ++i) second += dot(curved[i], t[i]);
  EXPECT_NEAR(second, dot(y, y), 1e-6 * dot(y, y));
}

INSTANTIATE_TEST_SUITE_P(Table,
                         FourierTransform,
                         ::testing::ValuesIn(fft_cases()),
                         name);

TEST(Fft, TransformsOfEveryLengthGoThereAndBack) {
  for (int64_t n : {1,
                    2,
                    3,
                    4,
                    5,
                    7,
                    8,
                    11,
                    16,
                    37,
                    60,
                    127,
                    210,
                    256,
                    1009,
                    4096,
                    30030}) {
    OpCase signal{"", {}, {{{2, n}}}};
    array x = draw(signal)[0];
    for (const array& y : {fft::irfft(fft::rfft(x), n),
                           real(fft::ifft(fft::fft(x))),
                           real(fft::ifft(fft::fft(x, {}, 0), {}, 0))}) {
      const array error = y - x;
      EXPECT_LE(dot(error, error), 16 * kEpsilon * kEpsilon * dot(x, x)) << n;
    }
  }
}

// Large enough to be spread over threads; results are the same bits.
TEST(Fft, BitsDoNotDependOnTheNumberOfThreads) {
  const int all = backend::cpu::max_threads();
  for (const Shape& shape :
       {Shape{64, 1000}, Shape{1 << 18}, Shape{257, 259}}) {
    array x = draw({"", {}, {{shape}}})[0];
    auto results = [&](int threads) {
      backend::cpu::limit_threads(threads);
      array y = fft::fftn(x), z = fft::rfftn(x), w = fft::irfftn(z);
      std::vector<float> out;
      for (const array& a : {real(y), imag(y), real(z), imag(z), w}) {
        const std::vector<float> v = a.to_vector<float>();
        out.insert(out.end(), v.begin(), v.end());
      }
      return out;
    };
    const std::vector<float> one = results(1), many = results(all);
    backend::cpu::limit_threads(all);
    EXPECT_EQ(one, many);
  }
}

TEST(Fft, SignalsThroughFramesAndBack) {
  array x = draw({"", {}, {{{2, 100}}}})[0];
  array window = array({0.1f, 0.4f, 0.8f, 1.f, 1.f, 0.8f, 0.4f, 0.1f});
  for (int hop : {1, 2, 3, 8}) {
    array f = fft::stft(x, 8, hop, {}, window);
    array y = fft::istft(
        f, 8, hop, {}, window, true, fft::FFTNorm::Backward, {}, 100);
    // What no whole frame reaches at the end is 0.
    const int64_t known = std::min<int64_t>(100, (f.shape(2) - 1) * hop + 4);
    expect_close(slice(y, {0, 0}, {2, known}),
                 slice(x, {0, 0}, {2, known}),
                 64,
                 "hop " + std::to_string(hop),
                 1);
  }
}

TEST(Fft, ArraysWithoutElements) {
  EXPECT_EQ(fft::fft(zeros({0, 4})).shape(), (Shape{0, 4}));
  EXPECT_EQ(fft::irfft(zeros({0, 4})).shape(), (Shape{0, 6}));
  EXPECT_EQ(fft::rfft2(zeros({0, 4, 3})).to_vector<float>().size(), 0u);
  EXPECT_EQ(fft::fft(zeros({2, 0}), 3).shape(), (Shape{2, 3}));
  EXPECT_EQ(fft::stft(zeros({0, 16}), 8).shape(), (Shape{0, 5, 9}));
}

}  // namespace treadle::testing
