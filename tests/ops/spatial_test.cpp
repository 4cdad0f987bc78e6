// Convolutions and pooling: the case table, results as mlx has them through the
// public functions, and the messages of bad calls.
#include "tests/cases/spatial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/backend/conv_cases.h"
#include "tests/backend/pool_cases.h"

namespace treadle::testing {

class SpatialOp : public ::testing::TestWithParam<OpCase> {};
TEST_P(SpatialOp, PassesAllChecks) { check_all(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Table,
                         SpatialOp,
                         ::testing::ValuesIn(spatial_cases()),
                         [](const ::testing::TestParamInfo<OpCase>& info) {
                           return info.param.name;
                         });

namespace {

array filled(const Shape& shape, double (*element)(int64_t)) {
  std::vector<float> v(size_t(size_of(shape)));
  for (size_t i = 0; i < v.size(); ++i) v[i] = float(element(int64_t(i)));
  return array::from(v.data(), shape);
}

TEST(Conv, GivesTheStoredResultsAndGradients) {
  for (const ConvCase& c : kConvCases) {
    ArraysFn f = [&](const Arrays& a) {
      return Arrays{conv_general(a[0],
                                 a[1],
                                 c.stride,
                                 c.low,
                                 c.high,
                                 c.kernel_dilation,
                                 c.input_dilation,
                                 c.groups,
                                 c.flip)};
    };
    auto [y, g] = vjp(
        f, {filled(c.x, conv_x), filled(c.w, conv_w)}, {filled(c.y, conv_ct)});
    EXPECT_EQ(y[0].shape(), c.y) << c.name;
    EXPECT_EQ(y[0].to_vector<double>(), c.result) << c.name;
    EXPECT_EQ(g[0].to_vector<double>(), c.x_grad) << c.name;
    EXPECT_EQ(g[1].to_vector<double>(), c.w_grad) << c.name;
  }
}

TEST(Pool, GivesTheStoredResultsAndGradients) {
  for (const PoolCase& c : kPoolCases) {
    ArraysFn f = [&](const Arrays& a) {
      if (c.size[0] == 0) {
        const PoolKind kind = c.mean ? PoolKind::mean : PoolKind::max;
        return Arrays{shared_pool(kind, a[0], c.stride)};
      }
      return Arrays{c.mean ? avg_pool(a[0], c.size, c.stride, c.padding)
                           : max_pool(a[0], c.size, c.stride, c.padding)};
    };
    auto [y, g] = vjp(f, {filled(c.x, pool_x)}, {filled(c.y, pool_ct)});
    EXPECT_EQ(y[0].shape(), c.y) << c.name;
    EXPECT_EQ(y[0].to_vector<double>(), c.result) << c.name;
    EXPECT_EQ(g[0].to_vector<double>(), c.grad) << c.name;
  }
}

TEST(Pool, StrideIsTheWindowUnlessGivenAndIntegersHaveFloatMeans) {
  const array x = array({1, 2, 3, 4, 9}, {1, 5, 1});
  EXPECT_EQ(max_pool(x, {2}).to_vector<int>(), (std::vector<int>{2, 4}));
  EXPECT_EQ(max_pool(x, {2}).dtype(), int32);
  const array mean = avg_pool(x, {2});
  EXPECT_EQ(mean.dtype(), float32);
  EXPECT_EQ(mean.to_vector<float>(), (std::vector<float>{1.5, 3.5}));
}

TEST(Conv, PromotesToOneDtype) {
  const array x = ones({1, 3, 1}, float16), w = ones({1, 1, 1}, float32);
  EXPECT_EQ(conv1d(x, w).dtype(), float32);
  EXPECT_EQ(conv1d(x, astype(w, float16)).dtype(), float16);
}

// vmap over either factor, with groups and without.
TEST(Conv, MapsOverTheWeightAlone) {
  for (int groups : {1, 2}) {
    const Shape w_shape = {3, 4, 2, 4 / groups};
    const array x = filled({2, 5, 4}, conv_x), w = filled(w_shape, conv_w);
    auto f = [&](const Arrays& a) {
      return Arrays{conv1d(a[0], a[1], 1, 0, 1, groups)};
    };
    const array all = vmap(f, {kNotMapped, 0})({x, w})[0];
    Arrays each;
    for (int64_t i = 0; i < 3; ++i) {
      array one = slice(w, {i, 0, 0, 0}, {i + 1, 4, 2, 4 / groups});
      each.push_back(f({x, squeeze(one, 0)})[0]);
    }
    EXPECT_EQ(all.to_vector<float>(), stack(each).to_vector<float>());
    // Gradients of both, mapped: per-example and per-model gradients.
    auto g = [&](const Arrays& a) {
      return grad([&](const Arrays& b) { return Arrays{sum(square(f(b)[0]))}; },
                  {0, 1})(a);
    };
    const Arrays mapped = vmap(g, {kNotMapped, 0})({x, w});
    for (int64_t i = 0; i < 3; ++i) {
      array one = squeeze(slice(w, {i, 0, 0, 0}, {i + 1, 4, 2, 4 / groups}), 0);
      const Arrays want = g({x, one});
      for (size_t k = 0; k < 2; ++k) {
        Shape from(size_t(mapped[k].ndim()), 0), to = mapped[k].shape();
        from[0] = i;
        to[0] = i + 1;
        EXPECT_EQ(slice(mapped[k], from, to).to_vector<float>(),
                  want[k].to_vector<float>())
            << "groups " << groups << " argument " << k;
      }
    }
  }
}

template <class F>
std::string message(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "nothing was thrown";
}

TEST(Conv, SaysWhatIsWrong) {
  const array x = ones({1, 5, 5, 4}), w = ones({6, 3, 3, 4});
  EXPECT_EQ(message([&] {
              conv2d(x, ones({6, 3, 3, 3}));
            }),
            "[conv] input channels differ: got input float32 (1, 5, 5, 4) and "
            "weight float32 (6, 3, 3, 3), groups=1; expected an input "
            "(N, ..., 3), channels last.");
  EXPECT_EQ(
      message([&] {
        conv2d(x, w, {1, 1}, {0, 0}, {1, 1}, 3);
      }),
      "[conv] channels do not divide into groups=3: got input float32 "
      "(1, 5, 5, 4) and weight float32 (6, 3, 3, 4); expected multiples of "
      "it in the input's last and the weight's first axis.");
  EXPECT_EQ(message([&] {
              conv2d(x, w, {1, 1}, {0, 0}, {1, 1}, 0);
            }),
            "[conv] groups=0 is not positive.");
  EXPECT_EQ(
      message([&] { conv1d(x, w); }),
      "[conv1d] the input has 4 dimensions: float32 (1, 5, 5, 4); expected "
      "3: (N, ..., C).");
  EXPECT_EQ(message([&] {
              conv2d(x, w, {0, 1});
            }),
            "[conv] stride is not positive: got (0, 1).");
  EXPECT_EQ(
      message([&] {
        conv2d(x, w, {1, 1}, {0, 0}, {3, 3});
      }),
      "[conv] the kernel does not fit into the input along spatial axis 0: "
      "it spans 7 elements; the padded input has 5.");
  EXPECT_EQ(
      message([&] { conv2d(astype(x, int32), astype(w, int32)); }),
      "[conv] got input int32 (1, 5, 5, 4) and weight int32 (6, 3, 3, 4); "
      "expected a floating dtype.");
  EXPECT_EQ(
      message([&] {
        conv_general(x, w, {1, 1, 1});
      }),
      "[conv] stride has 3 entries: got (1, 1, 1); expected one for each of "
      "the 2 spatial axes.");
}

TEST(Pool, SharedAxesKeepIntegersAndHaveFloatMeans) {
  const array x =
      reshape(astype(array({1, 9, 3, 4, 5, 2, 7}), int8), {1, 7, 1});
  const array y = shared_pool(PoolKind::max, x, {3});
  EXPECT_EQ(y.dtype(), int8);
  EXPECT_EQ(astype(y, int32).to_vector<int>(), (std::vector<int>{9, 5, 7}));
  EXPECT_EQ(shared_pool(PoolKind::mean, x, {1}).item<float>(), 31.f / 7);
}

TEST(Pool, SaysWhatIsWrong) {
  const array x = ones({1, 5, 5, 4});
  EXPECT_EQ(message([&] { shared_pool(PoolKind::max, x, {0}); }),
            "[shared_pool] size is (0,); expected one number, or one for each "
            "of the 2 spatial axes, of at least 1.");
  EXPECT_EQ(
      message([&] {
        shared_pool(PoolKind::max, ones({1, 0, 5, 4}), {2});
      }),
      "[pool] spatial axis 0 has no elements; expected at least one for its 2 "
      "windows to share.");
  EXPECT_EQ(message([&] { max_pool(x, {6}); }),
            "[pool] the window does not fit along spatial axis 0: it has 6 "
            "elements; the padded input has 5.");
  EXPECT_EQ(
      message([&] {
        avg_pool(x, {2, 2, 2});
      }),
      "[avg_pool] window is (2, 2, 2); expected one number, or one for each "
      "of the 2 spatial axes, of at least 1.");
  EXPECT_EQ(message([&] { max_pool(x, {2}, {2}, {-1}); }),
            "[max_pool] padding is (-1,); expected one number, or one for each "
            "of the 2 spatial axes, of at least 0.");
  EXPECT_EQ(
      message([&] {
        max_pool(ones({4, 4}), {2});
      }),
      "[max_pool] the input has 2 dimensions: float32 (4, 4); expected 3 to "
      "5: (N, ..., C) with 1 to 3 spatial axes.");
}

}  // namespace
}  // namespace treadle::testing
