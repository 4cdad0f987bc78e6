// Neighbouring tapes that do not depend on one another run together, with the
// same values as one by one.
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "treadle/runtime/eval.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

array values(const Shape& shape, int seed) {
  std::mt19937 rng{uint32_t(seed)};
  std::normal_distribution<float> normal;
  std::vector<float> v(size_t(size_of(shape)));
  for (float& x : v) x = normal(rng);
  return array::from(v.data(), shape);
}

using Program = std::function<array(const array&)>;

// The results of one eval of all programs are, bit for bit, those of an eval
// for each.
void expect_same(const Program& program, const Shape& shape, int count) {
  Arrays together;
  for (int i = 0; i < count; ++i) together.push_back(program(values(shape, i)));
  eval(together);
  for (int i = 0; i < count; ++i) {
    array alone = program(values(shape, i));
    eval({alone});
    EXPECT_TRUE(array_equal(together[size_t(i)], alone).item<bool>())
        << "program " << i << " on " << shape.size() << " axes";
  }
}

// Shorter than a tile, of several tiles, and cut into tasks.
const std::vector<Shape> kShapes = {{7}, {3000}, {90000}, {60, 700}};

TEST(Together, Elementwise) {
  for (const Shape& s : kShapes) {
    expect_same([](const array& x) { return tanh(x) * 3.0f + x; }, s, 40);
  }
}

TEST(Together, Reductions) {
  for (const Shape& s : kShapes) {
    expect_same([](const array& x) { return sum(square(x)); }, s, 40);
    expect_same([](const array& x) { return max(x, -1) - 1.0f; }, s, 40);
    expect_same([](const array& x) { return sum(exp(x), 0); }, s, 40);
    expect_same(
        [](const array& x) {
          array e = exp(x - max(x, -1, true));
          return e / sum(e, -1, true);
        },
        s,
        40);
  }
}

TEST(Together, MoreThanTheCachesHold) {
  expect_same([](const array& x) { return x * 0.5f; }, {300000}, 60);
}

// Numbers of many arrays meet in one: the sums do not wait for one another.
TEST(Together, NormOfManyArrays) {
  Arrays arrays;
  double expected = 0;
  for (int i = 0; i < 50; ++i) {
    arrays.push_back(full({20000}, float(i)));
    expected += 20000.0 * i * i;
  }
  array total = zeros({});
  for (const array& a : arrays) total = total + sum(square(a));
  Arrays scaled;
  for (const array& a : arrays) scaled.push_back(a * rsqrt(total));
  array norm = zeros({});
  for (const array& a : scaled) norm = norm + sum(square(a));
  EXPECT_FLOAT_EQ(total.item<float>(), float(expected));
  EXPECT_NEAR(norm.item<float>(), 1.0f, 1e-5f);
}

// A slow tape that reads the rows of t backwards, and a fast one that could
// write over t from its first row on.
array slow(const array& t) {
  const int64_t n = t.shape(1);
  return sinh(tan(arcsin(sin(slice(t, {3, 0}, {0, n}, {-1, 1})))));
}
array fast(const array& t) { return t + 1.0f; }

TEST(Together, NothingIsOverwrittenBeforeItIsRead) {
  const Shape shape = {4, 120000};
  for (int i = 0; i < 6; ++i) {
    const array x = values(shape, i);
    array a = zeros({}), b = zeros({});
    {
      // A temporary that no tape makes, and one that none reads.
      array t = cumsum(x, 0);
      a = slow(t);
      b = cumsum(fast(t), 0);
    }
    eval({a, b});
    array t = cumsum(x, 0);
    eval({t});
    array c = slow(t), d = fast(t);
    eval({c});
    eval({d});
    EXPECT_TRUE(array_equal(a, c).item<bool>()) << i;
    EXPECT_TRUE(array_equal(b, cumsum(d, 0)).item<bool>()) << i;
  }
}

// The same with an array that dies with the eval, whose memory a result takes.
TEST(Together, NoArrayThatDiesIsOverwrittenBeforeItIsRead) {
  for (int i = 0; i < 6; ++i) {
    array a = zeros({}), b = zeros({});
    {
      array t = values({4, 120000}, i);
      a = slow(t);
      b = fast(t);
    }
    eval({a, b});
    array t = values({4, 120000}, i);
    array c = slow(t), d = fast(t);
    eval({c});
    eval({d});
    EXPECT_TRUE(array_equal(a, c).item<bool>()) << i;
    EXPECT_TRUE(array_equal(b, d).item<bool>()) << i;
  }
}

}  // namespace
}  // namespace treadle
