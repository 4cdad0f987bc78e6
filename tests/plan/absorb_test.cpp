// Elementwise work that a product's kernel does on its rows while they are in
// the cache: which steps, that kernels take them, and that results stay.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "treadle/runtime/eval.h"
#include "treadle/runtime/explain.h"
#include "treadle/runtime/instance.h"
#include "treadle/runtime/interpreter.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

array ramp(const Shape& shape, int seed, Dtype dtype = float32) {
  std::vector<float> v(size_t(size_of(shape)));
  for (size_t i = 0; i < v.size(); ++i) {
    v[i] = float(int((i * 37 + size_t(seed) * 11) % 101) - 50) / 64;
  }
  return contiguous(astype(array::from(v.data(), shape), dtype));
}

// Calls that do the work of the step after them as well.
int followed_calls(const Arrays& targets) {
  int n = 0;
  runtime::for_each_plan(
      targets, [&](const plan::Plan& plan, const plan::Program& p) {
        auto made = runtime::instantiate(
            std::make_shared<plan::Plan>(plan), p, Device::Type::cpu);
        for (const runtime::Instance::Call& c : made->calls) {
          n += c.following != nullptr;
        }
      });
  return n;
}

void expect_near(const array& got, const array& want, double eps) {
  array a = astype(got, float64), b = astype(want, float64);
  eval(Arrays{a, b});
  ASSERT_EQ(a.shape(), b.shape());
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = a.data<double>()[i], y = b.data<double>()[i];
    ASSERT_LE(std::abs(x - y), eps * (1 + std::abs(y))) << i;
  }
}

// Whether the fastest kernel of a product is the library's.
bool has(const char* library, Dtype dtype) {
  const Specs in(2, Spec{{2, 2}, dtype});
  const runtime::Kernel* k =
      runtime::kernel_table(Device::Type::cpu).find(Matmul{}, in, {});
  return k && k->name == std::string(library) + "::matmul";
}
const bool kHasOneDnn = has("onednn", float32);

struct Layer {
  array x, w, b, r;
  explicit Layer(Dtype dtype)
      : x(ramp({2, 300, 384}, 1, dtype)),
        w(ramp({400, 384}, 2, dtype)),
        b(ramp({400}, 3, dtype)),
        r(ramp({2, 300, 400}, 4, dtype)) {
    eval(Arrays{x, w, b, r});
  }
  // Bias, activation, residual and a cast of the result of a product of three
  // axes.
  array operator()() const {
    return astype(maximum(matmul(x, transpose(w)) + b, 0) * 0.5f + r, float32);
  }
};

TEST(Absorb, BiasActivationResidualAndCastAreDoneWithTheProduct) {
  if (!kHasOneDnn) GTEST_SKIP() << "built without oneDNN";
  for (Dtype dtype : {float32, bfloat16}) {
    const Layer layer(dtype);
    array y = layer();
    EXPECT_THAT(plan_text({&y, 1}), HasSubstr("+ fused[add maximum"));
    EXPECT_EQ(followed_calls({y}), 1) << name_of(dtype);
    array want;
    {
      runtime::PlanningScope off(false);
      want = layer();
      want.eval();
    }
    expect_near(y, want, dtype == float32 ? 2e-5 : 2e-2);
  }
}

TEST(Absorb, ProductsOfTheOtherLibraryAreFollowedToo) {
  if (!has("openblas", float64)) GTEST_SKIP() << "built without OpenBLAS";
  for (Dtype dtype : {float64, complex64}) {
    for (bool batches : {false, true}) {
      array x = ramp({3, 130, 96}, 1, dtype), b = ramp({80}, 3, dtype);
      array w = ramp(batches ? Shape{3, 96, 80} : Shape{96, 80}, 2, dtype);
      array r = ramp({3, 130, 80}, 4, dtype);
      eval(Arrays{x, w, b, r});
      auto layer = [&] { return (matmul(x, w) + b) * r; };
      array y = layer(), want;
      EXPECT_EQ(followed_calls({y}), 1) << name_of(dtype);
      {
        runtime::PlanningScope off(false);
        want = layer();
        want.eval();
      }
      EXPECT_LT(max(abs(y - want)).item<float>(), 1e-4f) << name_of(dtype);
      array product = matmul(x, w), z = product + b;
      eval(Arrays{product, z});
      EXPECT_EQ(max(abs(z - (product + b))).item<float>(), 0);
    }
  }
}

TEST(Absorb, DrawsAreMadeOfBitsInTheCache) {
  for (int64_t n : {40000, 40001, 16385}) {
    const array key = random::key(uint64_t(n));
    const array p = ramp({n}, 1), high = ramp({n}, 2) + 3.0f;
    eval(Arrays{p, high});
    auto draws = [&] {
      return Arrays{random::uniform({n}, float32, key),
                    random::normal({n}, bfloat16, 1, 2, key),
                    random::bernoulli(p, {}, key),
                    random::randint(0, high, {n}, int8, key)};
    };
    const Arrays got = draws();
    for (const array& y : got) {
      EXPECT_EQ(followed_calls({y}), 1) << plan_text({&y, 1});
    }
    // Bits that somebody holds.
    const array bits = random::bits({n}, 4, key), less_bits = bits >> 3;
    eval(Arrays{bits, less_bits});
    Arrays want;
    array want_bits;
    {
      runtime::PlanningScope off(false);
      want = draws();
      want_bits = random::bits({n}, 4, key);
      eval(want);
      want_bits.eval();
    }
    EXPECT_TRUE(array_equal(bits, want_bits).item<bool>());
    EXPECT_TRUE(array_equal(less_bits, want_bits >> 3).item<bool>());
    const double eps[] = {0, 2e-2, 0, 0};
    for (size_t i = 0; i < want.size(); ++i) {
      expect_near(got[i], want[i], eps[i]);
    }
  }
}

TEST(Absorb, AProductThatSomebodyHoldsIsWrittenToo) {
  const Layer layer(float32);
  array product = matmul(layer.x, transpose(layer.w));
  array y = product + layer.b;
  eval(Arrays{product, y});
  expect_near(y, product + layer.b, 0);
}

TEST(Absorb, AnUpdateInPlaceReadsTheOldParameter) {
  array x = ramp({600, 512}, 1), dy = ramp({600, 512}, 2);
  array w = ramp({512, 512}, 3);
  eval(Arrays{x, dy, w});
  array want = w - 0.1f * matmul(transpose(x), dy);
  want.eval();
  w = w - 0.1f * matmul(transpose(x), dy);
  w.eval();
  expect_near(w, want, 0);
}

// What a library adds itself: bias vectors of any layout, over few and many
// rows, and results that have other readers.
TEST(Absorb, ABiasIsAddedWhileTheProductIsWritten) {
  if (!kHasOneDnn) GTEST_SKIP() << "built without oneDNN";
  for (Dtype dtype : {float32, bfloat16, float16}) {
    for (int64_t rows : {1, 130, 600, 2048}) {
      array x = ramp({rows, 384}, 1, dtype), w = ramp({400, 384}, 2, dtype);
      array wide = ramp({800}, 3, dtype);
      eval(Arrays{x, w, wide});
      for (const array& b : {slice(wide, {0}, {400}),
                             slice(wide, {0}, {800}, {2}),
                             broadcast_to(slice(wide, {3}, {4}), {400})}) {
        array y = b + matmul(x, transpose(w));
        if (dtype == float32) {
          EXPECT_EQ(followed_calls({y}), rows >= 512 ? 1 : 0);
        }
        y.eval();
        array product = matmul(x, transpose(w)), z = product + b;
        eval(Arrays{product, z});
        const auto apart = [](const array& u, const array& v) {
          return max(abs(astype(u, float32) - astype(v, float32)) /
                     (abs(astype(v, float32)) + 1.0f))
              .item<float>();
        };
        EXPECT_EQ(apart(z, product + b), 0);
        EXPECT_LE(apart(y, z), dtype == float32 ? 2e-5f : 2e-2f);
      }
    }
  }
}

struct Convolution {
  Shape x, w, stride, low, gaps;  // gaps: between the elements of x
  int groups = 1;
};

TEST(Absorb, ConvolutionsWriteWhatFollowsIntoOneArray) {
  if (!kHasOneDnn) GTEST_SKIP() << "built without oneDNN";
  const Convolution cases[] = {
      {{3, 9, 10, 6}, {8, 3, 3, 6}, {}, {1}, {}, 1},
      {{3, 9, 10, 6}, {6, 3, 3, 1}, {2}, {1}, {}, 6},
      {{3, 9, 10, 8}, {6, 4, 4, 8}, {}, {2}, {2}, 1},
      {{2, 40, 6}, {20, 5, 6}, {}, {2}, {}, 1},
      {{1, 4, 5, 6, 4}, {4, 2, 2, 2, 4}, {}, {}, {}, 1}};
  for (const Convolution& c : cases) {
    for (Dtype dtype : {float32, bfloat16, float16}) {
      array x = ramp(c.x, 1, dtype) * 0.125f, w = ramp(c.w, 2, dtype) * 0.125f;
      const int64_t channels = c.w[0];
      array wide = ramp({2 * channels}, 3, dtype);
      eval(Arrays{x, w, wide});
      auto conv = [&] {
        return conv_general(x, w, c.stride, c.low, c.low, {}, c.gaps, c.groups);
      };
      for (const array& b : {slice(wide, {0}, {channels}),
                             slice(wide, {0}, {2 * channels}, {2}),
                             broadcast_to(slice(wide, {3}, {4}), {channels})}) {
        auto all = [&b](const auto& conv) {
          const array y = conv(), r = astype(y, float32);
          return std::vector<Arrays>{{conv() + b},
                                     {maximum(conv() * b + b, 0)},
                                     {y + b, tanh(y) * b},
                                     {exp(y) + b, r * r},
                                     {y, y + b},
                                     {conv() + conv() * conv()}};
        };
        const std::vector<Arrays> got = all(conv);
        if (dtype == float32) {
          for (size_t i : {0, 1}) {
            EXPECT_EQ(followed_calls(got[i]), 1) << i;
          }
        }
        for (const Arrays& y : got) eval(y);
        const array done = conv();
        eval(Arrays{done});
        const std::vector<Arrays> want = all([&] { return done; });
        for (const Arrays& y : want) eval(y);
        for (size_t i = 0; i < want.size(); ++i) {
          for (size_t j = 0; j < want[i].size(); ++j) {
            expect_near(got[i][j], want[i][j], dtype == float32 ? 2e-5 : 3e-2);
          }
        }
      }
    }
  }
}

// x is read by the product after its rows could have been overwritten.
TEST(Absorb, AnInputOfTheProductIsNotOverwritten) {
  auto run = [](bool keep) {
    array x = ramp({512, 512}, 1), w = ramp({512, 512}, 2);
    eval(Arrays{x, w});
    array kept = keep ? x : array();
    x = x + matmul(transpose(x), w);
    x.eval();
    return x;
  };
  expect_near(run(false), run(true), 0);
}

TEST(Absorb, ASumOverTheResultIsAStepOfItsOwn) {
  array x = ramp({512, 384}, 1), w = ramp({384, 384}, 2);
  array y = sum(matmul(x, w), 0);
  EXPECT_THAT(plan_text({&y, 1}), Not(HasSubstr("+ fused")));
}

}  // namespace
}  // namespace treadle
