// What the case tables cannot show of indexing, arg reductions and softmax:
// errors, who gets a gradient when updates meet, values of MLX 0.32.
#include "treadle/ops/index.h"

#include <cmath>
#include <stdexcept>

#include <gtest/gtest.h>

#include "treadle/treadle.h"

namespace treadle {
namespace {

using Floats = std::vector<float>;

template <class E, class F>
void expect_error(F f, const std::string& text) {
  try {
    f();
    ADD_FAILURE() << "no error; expected: " << text;
  } catch (const E& e) {
    EXPECT_EQ(std::string(e.what()), text);
  }
}

TEST(Index, ErrorsAreThrownWhenRecorded) {
  array x = zeros({3, 4});
  using std::invalid_argument;
  expect_error<invalid_argument>(
      [&] { take(x, array({0.5f}), 0); },
      "[take] indices are float32; expected an integer dtype.");
  expect_error<invalid_argument>(
      [&] { take(x, array({true}), 0); },
      "[take] indices are bool; expected an integer dtype.");
  expect_error<std::out_of_range>(
      [&] { take(x, array({0}), 2); },
      "[take] axis 2 is out of bounds for an array with 2 dimensions; expected "
      "[-2, 1].");
  expect_error<invalid_argument>(
      [&] {
        take(zeros({0, 3}), array({0}), 0);
      },
      "[take] axis 0 of x float32 (0, 3) is empty: there is nothing to take "
      "for "
      "indices of shape (1,).");
  expect_error<invalid_argument>([&] { take_along_axis(x, array({0}), 0); },
                                 "[take_along_axis] x float32 (3, 4) and "
                                 "indices int32 (1,) need as many axes.");
  expect_error<invalid_argument>(
      [&] {
        scatter(x, array({0, 1}), zeros({5, 2, 4}), 0);
      },
      "[scatter] updates float32 (5, 2, 4) do not fit the slices of shape (2, "
      "4).");
  expect_error<invalid_argument>(
      [&] {
        scatter_along_axis(
            zeros({1, 4}), zeros({3, 2}, int32), zeros({3, 2}), 1);
      },
      "[scatter_along_axis] indices int32 (3, 2) do not fit x float32 (1, 4).");
  expect_error<invalid_argument>(
      [&] {
        argmax(zeros({2, 0}), 1);
      },
      "[argmax] axis 1 of shape (2, 0) is empty; there is no argmax of "
      "nothing.");
}

TEST(Index, AnIndexOutsideItsAxisIsAnErrorWhenEvaluated) {
  array y = take(zeros({3}), array({1, 3}), 0);
  EXPECT_THROW(y.eval(), std::out_of_range);
}

// Of several zeros among the factors of an element, none has a derivative; of
// equal candidates the last has all of it.
TEST(Index, ZerosAndTiesHaveTheGradientOfTheStepsInOrder) {
  auto gradients = [](ScatterMode mode, std::initializer_list<float> updates) {
    auto f = [&](const Arrays& a) {
      return Arrays{sum(scatter(a[0], array({0, 0, 1, 1}), a[1], 0, mode) *
                        array({1.f, 10.f, 100.f}))};
    };
    Arrays g =
        grad(ArraysFn(f), {0, 1})({array({2.f, 3.f, 5.f}), array(updates)});
    return concatenate(g, 0).to_vector<float>();
  };
  EXPECT_EQ(gradients(ScatterMode::multiply, {0, 4, 0, 0}),
            (Floats{0, 0, 100, 8, 0, 0, 0}));
  EXPECT_EQ(gradients(ScatterMode::multiply, {3, 4, 2, 1}),
            (Floats{12, 20, 100, 8, 6, 30, 60}));
  EXPECT_EQ(gradients(ScatterMode::maximum, {2, 1, 7, 7}),
            (Floats{0, 0, 100, 1, 0, 0, 10}));
  EXPECT_EQ(gradients(ScatterMode::minimum, {5, 6, 3, 1}),
            (Floats{1, 0, 100, 0, 0, 0, 10}));
}

TEST(Index, TheLastOfSeveralAssignmentsGetsTheGradient) {
  array weights({1.f, 2.f, 3.f});
  auto f = [&](const Arrays& a) {
    return Arrays{
        sum(put_along_axis(zeros({3}), array({0, 0, 2}), a[0], 0) * weights)};
  };
  EXPECT_EQ(grad(f)({array({5.f, 6.f, 7.f})})[0].to_vector<float>(),
            (Floats{0, 1, 3}));
}

TEST(Index, ArgmaxOverAllAxesCountsInRowOrder) {
  array x({0, 5, 1, 7, 7, 2}, {2, 3});
  EXPECT_EQ(argmax(x).item<uint32_t>(), 3u);
  EXPECT_EQ(argmax(x).shape(), Shape{});
  EXPECT_EQ(argmin(x, {}, true).shape(), (Shape{1, 1}));
  EXPECT_EQ(argmax(x, -1, true).shape(), (Shape{2, 1}));
  EXPECT_EQ(argmax(x, 0).dtype(), uint32);
}

TEST(Index, DerivativesPassByArgmax) {
  auto f = [](const Arrays& a) {
    return Arrays{sum(a[0]) + astype(argmax(a[0]), float32)};
  };
  EXPECT_EQ(grad(f)({array({1.f, 2.f})})[0].to_vector<float>(), (Floats{1, 1}));
}

void expect_near(const array& got, const Floats& want, float error) {
  Floats v = got.to_vector<float>();
  ASSERT_EQ(v.size(), want.size());
  for (size_t i = 0; i < v.size(); ++i)
    EXPECT_NEAR(v[i], want[i], error * want[i]);
}

TEST(Softmax, IsThatOfMlx) {
  array x({1.f, 2.f, 3.f, 0.5f, -1.f, 4.f}, {2, 3});
  expect_near(softmax(x, -1),
              {0x1.70c3e6p-4f,
               0x1.f53434p-3f,
               0x1.549a76p-1f,
               0x1.dd2184p-6f,
               0x1.a9d966p-8f,
               0x1.edc342p-1f},
              0x1p-22f);
  expect_near(softmax(x, 0),
              {0x1.3eb2fep-1f,
               0x1.e7b7ccp-1f,
               0x1.136562p-2f,
               0x1.829a06p-2f,
               0x1.848348p-5f,
               0x1.764d5p-1f},
              0x1p-22f);
  expect_near(softmax(x),
              {0x1.0085eep-5f,
               0x1.5ca6acp-4f,
               0x1.d9ddbp-3f,
               0x1.372da2p-6f,
               0x1.15bba8p-8f,
               0x1.42067ap-1f},
              0x1p-22f);
  expect_near(softmax(astype(x, float16), -1),
              {0x1.70cp-4f,
               0x1.f5p-3f,
               0x1.548p-1f,
               0x1.ddp-6f,
               0x1.a9cp-8f,
               0x1.edcp-1f},
              0x1p-10f);
  expect_near(
      softmax(astype(x, bfloat16), -1, true),
      {0x1.7p-4f, 0x1.f6p-3f, 0x1.54p-1f, 0x1.dep-6f, 0x1.aap-8f, 0x1.eep-1f},
      0);
}

TEST(Softmax, NeitherOverflowsNorLosesTheDtype) {
  EXPECT_EQ(softmax(array({1e4f, 1e4f, -1e4f})).to_vector<float>(),
            (Floats{0.5, 0.5, 0}));
  EXPECT_EQ(softmax(array({-INFINITY, 0.f})).to_vector<float>(),
            (Floats{0, 1}));
  EXPECT_TRUE(
      std::isnan(softmax(array({-INFINITY, -INFINITY})).to_vector<float>()[0]));
  EXPECT_EQ(softmax(array({1, 2, 3})).dtype(), float32);
  EXPECT_EQ(softmax(zeros({2}, bfloat16), 0, true).dtype(), bfloat16);
  EXPECT_EQ(softmax(array(3.0f)).item<float>(), 1);
  EXPECT_EQ(softmax(zeros({0, 3}), 0).shape(), (Shape{0, 3}));
  EXPECT_EQ(log_softmax(array({1e4f, 0.f})).to_vector<float>(),
            (Floats{0, -1e4f}));
}

}  // namespace
}  // namespace treadle
