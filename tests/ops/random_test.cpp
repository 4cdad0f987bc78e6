// Equal seeds give MLX's numbers: the expected values are those of MLX 0.32.
#include "treadle/ops/random.h"

#include <cmath>
#include <set>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "treadle/treadle.h"

namespace treadle::random {
namespace {

array test_key() { return key(7); }

template <class T>
std::vector<T> of(const array& x) {
  return x.to_vector<T>();
}

void expect_near(const array& got, const std::vector<float>& want, float ulps) {
  std::vector<float> v = got.to_vector<float>();
  ASSERT_EQ(v.size(), want.size());
  float unit = got.dtype() == float16    ? 0x1p-10f
               : got.dtype() == bfloat16 ? 0x1p-7f
                                         : 0x1p-23f;
  for (size_t i = 0; i < v.size(); ++i) {
    EXPECT_NEAR(v[i], want[i], ulps * unit * std::abs(want[i]))
        << "element " << i;
  }
}

TEST(Random, KeysAreTheHalvesOfTheSeed) {
  EXPECT_EQ(of<uint32_t>(key(0x123456789abcdef0)),
            (std::vector<uint32_t>{0x12345678, 0x9abcdef0}));
}

TEST(Random, SplitIsThatOfMlx) {
  EXPECT_EQ(of<uint32_t>(random::split(test_key(), 3)),
            (std::vector<uint32_t>{276534068,
                                   861967409,
                                   1905761346,
                                   1641862660,
                                   2900896126,
                                   1402713516}));
  auto [a, b] = random::split(test_key());
  EXPECT_EQ(of<uint32_t>(concatenate({a, b})),
            of<uint32_t>(reshape(random::split(test_key(), 2), {4})));
  EXPECT_EQ(random::split(test_key(), 0).shape(), (Shape{0, 2}));
}

TEST(Random, UniformIsThatOfMlx) {
  EXPECT_EQ(of<float>(uniform({5}, float32, test_key())),
            (std::vector<float>{0x1.07b934p-4f,
                                0x1.9b04a2p-3f,
                                0x1.4d08fep-1f,
                                0x1.877358p-2f,
                                0x1.59d052p-1f}));
  EXPECT_EQ(of<float>(uniform(-2, 3, {5}, float32, test_key())),
            (std::vector<float>{-0x1.ad962p+0f,
                                -0x1.fe3a34p-1f,
                                0x1.40967cp+0f,
                                -0x1.6afd2p-4f,
                                0x1.6088ccp+0f}));
  EXPECT_EQ(
      of<float>(uniform(
          array({0.f, 10.f}), array({1.f, 20.f}), {2, 2}, float32, test_key())),
      (std::vector<float>{
          0x1.ccc4bep-3f, 0x1.89b534p+3f, 0x1.d07ef8p-2f, 0x1.8ede3p+3f}));
  EXPECT_EQ(
      of<float>(uniform({5}, float16, test_key())),
      (std::vector<float>{
          0x1.07cp-4f, 0x1.9bp-3f, 0x1.4dp-1f, 0x1.878p-2f, 0x1.59cp-1f}));
  EXPECT_EQ(of<float>(uniform({5}, bfloat16, test_key())),
            (std::vector<float>{
                0x1.08p-4f, 0x1.9cp-3f, 0x1.4ep-1f, 0x1.88p-2f, 0x1.5ap-1f}));
}

TEST(Random, UniformNeverReachesOne) {
  for (Dtype d : {float16, bfloat16, float32, float64}) {
    array u = uniform({100000}, d, test_key());
    EXPECT_LT(max(u).item<double>(), 1) << name_of(d);
    EXPECT_GE(min(u).item<double>(), 0);
    EXPECT_NEAR(mean(astype(u, float64)).item<double>(), 0.5, 0.005);
  }
}

TEST(Random, Float64UniformHas53RandomBits) {
  std::vector<double> u = of<double>(uniform({1000}, float64, test_key()));
  int finer = 0;
  for (double v : u) {
    EXPECT_EQ(v * 0x1p53, std::floor(v * 0x1p53));
    finer += v * 0x1p50 != std::floor(v * 0x1p50);
  }
  EXPECT_GT(finer, 800);
}

TEST(Random, NormalIsThatOfMlx) {
  expect_near(normal({5}, float32, 0, 1, test_key()),
              {-0x1.84dae4p+0f,
               -0x1.ada51cp-1f,
               0x1.8bd69p-2f,
               -0x1.32b268p-2f,
               0x1.d1d736p-2f},
              2);
  expect_near(normal({5}, float32, 0.3, 0.7, test_key()),
              {-0x1.86cc0ap-1f,
               -0x1.264d8cp-2f,
               0x1.2424b4p-1f,
               0x1.720c78p-4f,
               0x1.3ca4ecp-1f},
              8);
  expect_near(
      normal({5}, float16, 0, 1, test_key()),
      {-0x1.84cp+0f, -0x1.ad8p-1f, 0x1.8cp-2f, -0x1.32cp-2f, 0x1.d2p-2f},
      1);
  expect_near(normal({5}, bfloat16, 0, 1, test_key()),
              {-0x1.84p+0f, -0x1.aep-1f, 0x1.8cp-2f, -0x1.32p-2f, 0x1.d2p-2f},
              1);
}

TEST(Random, ComplexNormalHasIndependentPartsOfHalfTheVariance) {
  auto v = of<complex64_t>(normal({3}, complex64, 0, 1, test_key()));
  std::vector<complex64_t> want{{-0x1.12f648p+0f, -0x1.2fce0cp-1f},
                                {-0x1.99f55p-4f, -0x1.b1bc24p-3f},
                                {0x1.49662cp-2f, -0x1.455a9ap-2f}};
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(std::abs(v[i] - want[i]), 0, 3e-7);
}

TEST(Random, OtherDistributionsAreThoseOfMlx) {
  expect_near(
      truncated_normal(-1, 2, Shape{5}, float32, test_key()),
      {-0x1.9a7972p-1f,
       -0x1.d684a8p-2f,
       0x1.feff5ep-2f,
       -0x1.23fec2p-4f,
       0x1.1da6e4p-1f},
      32);  // a difference of one ulp in erf is larger behind erfinv near 0
  expect_near(gumbel({5}, float32, test_key()),
              {-0x1.024e06p+0f,
               -0x1.e51ad8p-2f,
               0x1.b0057ap-1f,
               0x1.40aa24p-5f,
               0x1.deee48p-1f},
              32);
  expect_near(laplace({5}, float32, 0, 1, test_key()),
              {0x1.065d22p+1f,
               0x1.d35f06p-1f,
               -0x1.6e9466p-2f,
               0x1.12e892p-2f,
               -0x1.ba7024p-2f},
              4);
  expect_near(laplace({5}, float32, 1, 2, test_key()),
              {0x1.465d22p+2f,
               0x1.69af84p+1f,
               0x1.22d734p-2f,
               0x1.897448p+0f,
               0x1.163f7p-3f},
              16);
}

TEST(Random, BernoulliIsThatOfMlx) {
  EXPECT_EQ(of<int32_t>(bernoulli(0.3, Shape{12}, test_key())),
            (std::vector<int32_t>{0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1}));
  EXPECT_EQ(of<int32_t>(
                bernoulli(array({0.f, 1.f, 0.5f, 0.2f, 0.8f}), {}, test_key())),
            (std::vector<int32_t>{0, 1, 0, 0, 1}));
  EXPECT_TRUE(min(bernoulli(1, Shape{100000}, test_key())).item<bool>());
  EXPECT_FALSE(max(bernoulli(0, Shape{100000}, test_key())).item<bool>());
}

TEST(Random, RandintIsThatOfMlx) {
  EXPECT_EQ(of<int32_t>(randint(-5, 7, {10}, int32, test_key())),
            (std::vector<int32_t>{5, -3, -2, 4, -3, 0, -3, 3, 3, 5}));
  EXPECT_EQ(of<int32_t>(randint(0, 2, {10}, bool_, test_key())),
            (std::vector<int32_t>{1, 0, 0, 1, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(of<int32_t>(randint(16777217, 16777219, {10}, int32, test_key())),
            (std::vector<int32_t>{16777218,
                                  16777217,
                                  16777218,
                                  16777218,
                                  16777217,
                                  16777218,
                                  16777217,
                                  16777218,
                                  16777218,
                                  16777218}));
  EXPECT_EQ(
      of<int32_t>(randint(
          array({0, 10}), array({5.5f, 20.f}), {2, 2}, int32, test_key())),
      (std::vector<int32_t>{1, 12, 2, 12}));
  EXPECT_EQ(of<int32_t>(randint(0, 300, {3}, uint8, test_key())),
            (std::vector<int32_t>{43, 43, 43}));
}

TEST(Random, CategoricalIsThatOfMlx) {
  array logits({0.f, 1.f, 2.f, 3.f, 1.f, 0.5f}, {2, 3});
  EXPECT_EQ(of<uint32_t>(categorical(logits, -1, test_key())),
            (std::vector<uint32_t>{2, 0}));
  EXPECT_EQ(of<uint32_t>(categorical(logits, 0, test_key())),
            (std::vector<uint32_t>{1, 1, 0}));
  EXPECT_EQ(of<uint32_t>(categorical(logits, -1, 4, test_key())),
            (std::vector<uint32_t>{0, 2, 0, 1, 0, 1, 0, 0}));
  EXPECT_EQ(of<uint32_t>(categorical(logits, -1, Shape{3, 2}, test_key())),
            (std::vector<uint32_t>{1, 2, 2, 1, 2, 0}));
}

TEST(Random, TheDefaultKeyAdvancesAsInMlx) {
  seed(42);
  EXPECT_EQ(
      of<float>(uniform({3})),
      (std::vector<float>{0x1.2403acp-2f, 0x1.3950d8p-1f, 0x1.67bc8ap-3f}));
  expect_near(normal({2}), {0x1.7d80c2p-4f, -0x1.422f86p+0f}, 2);
  EXPECT_EQ(of<int32_t>(randint(0, 100, {3})),
            (std::vector<int32_t>{46, 76, 80}));
  EXPECT_EQ(of<uint32_t>(random_state()),
            (std::vector<uint32_t>{1536900715, 689864229}));
}

TEST(Random, ExplicitKeysLeaveTheDefaultKeyAlone) {
  seed(1);
  array before = random_state();
  uniform({3}, float32, test_key());
  EXPECT_TRUE(same_array(before, random_state()));
}

TEST(Random, AScopeHasAKeyOfItsOwn) {
  seed(1);
  array before = random_state();
  {
    RandomStateScope scope(key(42));
    EXPECT_EQ(of<float>(uniform({3}))[0], 0x1.2403acp-2f);
    std::thread([&] {
      EXPECT_TRUE(same_array(before, random_state()));
    }).join();
  }
  EXPECT_TRUE(same_array(before, random_state()));
}

TEST(Random, ThreadsNeverDrawTheSameKey) {
  seed(3);
  std::vector<Arrays> drawn(4);
  std::vector<std::thread> threads;
  for (Arrays& mine : drawn) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < 50; ++i) mine.push_back(next_key());
    });
  }
  for (std::thread& t : threads) t.join();
  std::set<std::vector<uint32_t>> keys;
  for (const Arrays& mine : drawn) {
    for (const array& k : mine) keys.insert(of<uint32_t>(k));
  }
  EXPECT_EQ(keys.size(), 200u);
}

TEST(Random, VmapOverKeysDrawsForEachKey) {
  auto f =
      vmap([](const Arrays& x) { return Arrays{uniform({3}, float32, x[0])}; });
  EXPECT_EQ(of<float>(f(Arrays{random::split(test_key(), 2)})[0]),
            (std::vector<float>{0x1.cdea3cp-1f,
                                0x1.e69ddap-3f,
                                0x1.ef0ed8p-2f,
                                0x1.3e726ap-4f,
                                0x1.65484cp-3f,
                                0x1.aa509ep-1f}));
}

TEST(Random, CompiledFunctionsDrawNewNumbersOnEachCall) {
  auto f = compile([](const Arrays& x) { return Arrays{x[0] + uniform({3})}; });
  array zero = zeros({3});
  seed(42);
  array a = f({zero})[0], b = f({zero})[0];
  seed(42);
  EXPECT_EQ(of<float>(a), of<float>(uniform({3})));
  EXPECT_EQ(of<float>(b), of<float>(uniform({3})));
}

template <class E, class F>
void expect_error(F f, const std::string& text) {
  try {
    f();
    ADD_FAILURE() << "no error; expected: " << text;
  } catch (const E& e) {
    EXPECT_EQ(std::string(e.what()), text);
  }
}

TEST(Random, ErrorsSayWhatIsWrong) {
  using std::invalid_argument;
  expect_error<invalid_argument>(
      [] { uniform({2}, int32); },
      "[uniform] dtype is int32; expected a real floating type.");
  expect_error<invalid_argument>(
      [] {
        uniform(0, array({1.f, 2.f, 3.f}), {2, 2});
      },
      "[uniform] shapes (3,) and (2, 2) cannot be broadcast: 3 against 2 on "
      "axis 1; "
      "expected equal lengths or 1.");
  expect_error<invalid_argument>(
      [] {
        uniform(0, ones({2, 1}), {1, 2});
      },
      "[uniform] parameters of shape (2, 1) do not broadcast to the requested "
      "shape "
      "(1, 2).");
  expect_error<invalid_argument>(
      [] { bits({2}, 3); }, "[bits] width is 3 bytes; expected 1, 2 or 4.");
  expect_error<invalid_argument>(
      [] {
        bits({2}, 4, array({1.f, 2.f}));
      },
      "[bits] key is float32 (2,); expected uint32 (2,), as key(seed) gives.");
  expect_error<invalid_argument>(
      [] { randint(0, 5, {2}, float32); },
      "[randint] dtype is float32; expected an integer type or bool.");
  expect_error<invalid_argument>(
      [] {
        bernoulli(array({1, 0}));
      },
      "[bernoulli] dtype is int32; expected a real floating type.");
  expect_error<std::out_of_range>(
      [] {
        categorical(zeros({2, 3}), 2);
      },
      "[categorical] axis 2 is out of bounds for an array with 2 dimensions; "
      "expected "
      "[-2, 1].");
}

}  // namespace
}  // namespace treadle::random
