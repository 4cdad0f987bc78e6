// autocast: products in a short type, all else and all results in float32.
#include "treadle/transforms/autocast.h"

#include <gmock/gmock.h>

#include "treadle/runtime/explain.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

array values(const Shape& shape, uint64_t seed) {
  array x = random::normal(shape, float32, 0.0, 1.0, random::key(seed));
  x.eval();
  return x;
}

float largest_difference(const array& a, const array& b) {
  return max(abs(astype(a, float32) - astype(b, float32))).item<float>();
}

array rounded(const array& x, Dtype dtype) {
  return astype(astype(x, dtype), float32);
}

class Autocast : public testing::TestWithParam<Dtype> {};

TEST_P(Autocast, RoundsWhatProductsReadAndGive) {
  const array x = values({6, 5}, 1), w = values({4, 5}, 2);
  auto f = autocast(
      [&](const Arrays& a) { return Arrays{matmul(a[0], transpose(w))}; },
      {GetParam()});
  const array y = f({x})[0];
  EXPECT_EQ(y.dtype(), float32);
  const array expected =
      rounded(matmul(rounded(x, GetParam()), transpose(rounded(w, GetParam()))),
              GetParam());
  EXPECT_EQ(largest_difference(y, expected), 0);
}

TEST_P(Autocast, LeavesLossesNormsAndReductionsInFloat32) {
  // 300 squared is beyond float16, and 1 / 4096 added to 1 below its last
  // digit.
  const array x = full({8}, 300.0f);
  auto f = autocast(
      [](const Arrays& a) {
        array y = matmul(reshape(a[0], {8, 1}), ones({1, 1}));
        array ones_and_small =
            concatenate({ones({1}), full({16}, 1.0f / 4096)});
        return Arrays{sum(square(y)),
                      sum(ones_and_small),
                      fast::rms_norm(y, ones({1}), 0),
                      logsumexp(y)};
      },
      {GetParam()});
  const Arrays y = f({x});
  EXPECT_EQ(y[0].item<float>(), 8 * 90000.0f);
  EXPECT_EQ(y[1].item<float>(), 1 + 1.0f / 256);
  EXPECT_EQ(y[2].to_vector<float>(), std::vector<float>(8, 1));
  EXPECT_NEAR(y[3].item<float>(), 300 + std::log(8.0f), 1e-4);
}

TEST_P(Autocast, GradientsAreThoseOfMastersInFloat32) {
  const array x = values({16, 8}, 1), w = values({4, 8}, 2), b = values({4}, 3);
  const array target = values({16, 4}, 4);
  auto loss = [&](const Arrays& p) {
    const array y = nn::linear(x, p[0], p[1]);
    return Arrays{nn::mse_loss(nn::relu(y), target, "mean")};
  };
  auto [l, g] = value_and_grad(loss, {0, 1})({w, b});
  auto [la, ga] = value_and_grad(autocast(loss, {GetParam()}), {0, 1})({w, b});
  EXPECT_EQ(la[0].dtype(), float32);
  // Half an ulp of each factor, 2^-9 or 2^-12, over a few roundings.
  const float tolerance = GetParam() == bfloat16 ? 0.02f : 0.0025f;
  EXPECT_NEAR(l[0].item<float>(), la[0].item<float>(), tolerance);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(ga[i].dtype(), float32);
    EXPECT_LT(largest_difference(g[i], ga[i]), tolerance);
    EXPECT_GT(largest_difference(g[i], ga[i]), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Dtypes,
                         Autocast,
                         testing::Values(bfloat16, float16),
                         [](const auto& info) {
                           return std::string(name_of(info.param));
                         });

TEST(Autocast, BiasActivationAndNextProductStayShort) {
  const array x = values({32, 8}, 1), w = values({8, 8}, 2), b = values({8}, 3);
  auto f = autocast([&](const Arrays& a) {
    return Arrays{nn::linear(nn::relu(nn::linear(a[0], w, b)), w, b)};
  });
  const Arrays y = f({x});
  const std::string plan = plan_text(y);
  // Nothing of the hidden layer is float32.
  EXPECT_THAT(plan, HasSubstr("matmul"));
  EXPECT_THAT(plan, Not(ContainsRegex("matmul[^\n]*float32")));
}

TEST(Autocast, ConvolutionsAndAttentionAreProducts) {
  const array image = values({2, 6, 6, 3}, 1), kernel = values({4, 3, 3, 3}, 2);
  const array q = values({1, 2, 5, 8}, 3);
  auto short_products = [&](Dtype) {
    return autocast([&](const Arrays&) {
      return Arrays{conv2d(image, kernel),
                    conv_transpose2d(image, kernel),
                    fast::scaled_dot_product_attention(q, q, q, 0.3)};
    })({});
  };
  const Arrays y = short_products(bfloat16);
  const array i = rounded(image, bfloat16), k = rounded(kernel, bfloat16);
  const array r = rounded(q, bfloat16);
  EXPECT_LE(largest_difference(y[0], conv2d(i, k)), 0.0625f);
  EXPECT_LE(largest_difference(y[1], conv_transpose2d(i, k)), 0.0625f);
  EXPECT_LE(largest_difference(
                y[2], fast::scaled_dot_product_attention(r, r, r, 0.3)),
            0.0157f);
  for (const array& v : y) {
    EXPECT_EQ(v.dtype(), float32);
    EXPECT_EQ(largest_difference(v, rounded(v, bfloat16)), 0);
  }
}

TEST(Autocast, ARowWithoutAnyKeyIsAnEvenMeanStill) {
  const array q = values({1, 1, 2, 4}, 1);
  const array mask =
      array::from(std::vector<float>{0, 0, -3.4e38f, -3.4e38f}.data(), {2, 2});
  const array y = autocast([&](const Arrays&) {
    return Arrays{
        fast::scaled_dot_product_attention(q, q, q, 1, "array", mask)};
  })({})[0];
  EXPECT_TRUE(all(isfinite(y)).item<bool>());
}

TEST(Autocast, SumsWithFloat32AreFloat32) {
  const array x = full({4, 4}, 1.0f), w = eye(4);
  const array residual = full({4, 4}, 1.0f / 4096);
  const array y = autocast(
      [&](const Arrays&) { return Arrays{matmul(x, w) + residual}; })({})[0];
  EXPECT_EQ(y.to_vector<float>(), std::vector<float>(16, 1 + 1.0f / 4096));
}

TEST(Autocast, OtherDtypesAndUntouchedFunctionsAreLeftAlone) {
  const array a = astype(values({3, 3}, 1), float64), h = astype(a, float16);
  const array x = values({3}, 2);
  const Arrays y = autocast([&](const Arrays& in) {
    return Arrays{matmul(a, a), matmul(h, h), in[0], tanh(in[0])};
  })({x});
  EXPECT_EQ(y[0].dtype(), float64);
  EXPECT_EQ(max(abs(y[0] - matmul(a, a))).item<double>(), 0);
  EXPECT_EQ(y[1].dtype(), float16);
  EXPECT_TRUE(same_array(y[2], x));
  EXPECT_EQ(largest_difference(y[3], tanh(x)), 0);
}

TEST(Autocast, RunsInsideLoops) {
  nn::LSTM lstm(6, 5);
  const array x = values({2, 7, 6}, 1);
  auto loss = [&](const Arrays& p) {
    nn::LSTM copy = lstm;
    copy.update(lstm.parameters().with_leaves(p));
    return Arrays{sum(square(copy(x).first))};
  };
  const Arrays p = lstm.parameters().leaves();
  const std::vector<int> all_of_them = {0, 1, 2};
  auto [l, g] = value_and_grad(loss, all_of_them)(p);
  auto [la, ga] = value_and_grad(autocast(loss), all_of_them)(p);
  EXPECT_NEAR(l[0].item<float>(), la[0].item<float>(), 0.02f);
  EXPECT_NE(l[0].item<float>(), la[0].item<float>());
  for (size_t i = 0; i < g.size(); ++i) {
    EXPECT_EQ(ga[i].dtype(), float32);
    EXPECT_LT(largest_difference(g[i], ga[i]), 0.05f);
  }
  // The recurrent product too: with inputs of zero it is the only one.
  auto states = [&](const Arrays&) {
    return Arrays{lstm(zeros({1, 3, 6})).first};
  };
  EXPECT_GT(largest_difference(states({})[0], autocast(states)({})[0]), 0);
}

TEST(Autocast, CheckpointsGiveTheSameGradients) {
  const array x = values({8, 8}, 1), w = values({8, 8}, 2);
  auto layer = [&](const Arrays& a) {
    return Arrays{tanh(matmul(a[0], transpose(a[1]))) + a[0]};
  };
  auto loss = [&](const ArraysFn& f) {
    return autocast([f](const Arrays& a) {
      return Arrays{mean(square(f({f({a[0], a[1]})[0], a[1]})[0]))};
    });
  };
  auto [l, g] = value_and_grad(loss(layer), {0, 1})({x, w});
  auto [lc, gc] = value_and_grad(loss(checkpoint(layer)), {0, 1})({x, w});
  // Plans round short values where they are stored, and these store others.
  EXPECT_NEAR(l[0].item<float>(), lc[0].item<float>(), 1e-3f);
  EXPECT_LT(largest_difference(g[0], gc[0]), 0.01f);
  EXPECT_LT(largest_difference(g[1], gc[1]), 0.01f);
  EXPECT_GT(largest_difference(g[1], zeros_like(w)), 0);
}

TEST(Autocast, ComposesWithVmapCompileAndItself) {
  const array x = values({3, 4, 4}, 1), w = values({4, 4}, 2);
  auto f = autocast(
      [&](const Arrays& a) { return Arrays{sum(tanh(matmul(a[0], w)), 0)}; });
  const array mapped = vmap(f)({x})[0];
  for (int64_t i = 0; i < 3; ++i) {
    const array one = f({squeeze(slice(x, {i, 0, 0}, {i + 1, 4, 4}), 0)})[0];
    EXPECT_EQ(
        largest_difference(squeeze(slice(mapped, {i, 0}, {i + 1, 4}), 0), one),
        0);
  }
  const array first = squeeze(slice(x, {0, 0, 0}, {1, 4, 4}), 0);
  EXPECT_EQ(largest_difference(compile(f)({first})[0], f({first})[0]), 0);
  EXPECT_EQ(largest_difference(autocast(f)({first})[0], f({first})[0]), 0);
  // Calls of compiled functions are rewritten too, outside of traces.
  const ArraysFn compiled = compile(
      [&](const Arrays& a) { return Arrays{sum(tanh(matmul(a[0], w)), 0)}; });
  EXPECT_EQ(largest_difference(autocast(compiled)({first})[0], f({first})[0]),
            0);
}

// The first call traces the function while autocast records, later ones do not.
TEST(Autocast, CallsOfACompiledFunctionAreRewrittenAlikeFromTheFirstOn) {
  const array x = values({6, 8}, 1), w = values({8, 8}, 2), b = values({8}, 3);
  const ArraysFn f = [](const Arrays& a) {
    return Arrays{matmul(matmul(a[0], a[1]) + a[2], a[1])};
  };
  const array plain = autocast(f)({x, w, b})[0];
  const ArraysFn compiled = autocast(compile(f));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(largest_difference(compiled({x, w, b})[0], plain), 0) << i;
  }
}

TEST(Autocast, RewritesStateThatTheFunctionReplaces) {
  const array x = values({64, 8}, 1);
  nn::Sequential model(nn::Linear(8, 4), nn::BatchNorm(4));
  auto& norm = dynamic_cast<nn::BatchNorm&>(*model.named_modules()[1].second);
  auto call = [&] { return Arrays{model(x)}; };
  const auto cast = autocast([&](const Arrays&) { return call(); },
                             {bfloat16, nn::captured(model)});
  const Arrays y = cast({});
  Arrays all = {y[0], norm.running_mean, norm.running_var};
  const std::string plan = plan_text(all);
  size_t products = 0;
  for (size_t at = 0; (at = plan.find(": matmul\n", at)) != plan.npos; ++at) {
    ++products;
  }
  EXPECT_EQ(products, 1) << plan;
  EXPECT_EQ(norm.running_mean.dtype(), float32);
}

// Forward and backward products of both layers read the casts that the forward
// pass has made.
TEST(Autocast, CastsAWeightOnceForAStep) {
  const array x = values({16, 12}, 1), y = values({16, 12}, 2);
  const array v = values({24, 12}, 3), w = values({12, 24}, 4);
  const auto step = value_and_grad(
      autocast([&](const Arrays& p) {
        const array hidden = nn::relu(nn::linear(x, p[0]));
        return Arrays{nn::mse_loss(nn::linear(hidden, p[1]), y, "mean")};
      }),
      {0, 1});
  auto [loss, gradients] = step({v, w});
  const std::string plan =
      plan_text(Arrays{loss[0], gradients[0], gradients[1]});
  const auto count = [&](const std::string& what) {
    size_t found = 0;
    for (size_t at = 0; (at = plan.find(what, at)) != plan.npos; ++at) ++found;
    return found;
  };
  EXPECT_EQ(count("matmul\n"), 5u) << plan;
  // The cast weight, and its gradient before it becomes float32.
  EXPECT_EQ(count(" bfloat16 (24, 12)  (arena)"), 2u) << plan;
  EXPECT_EQ(count(" bfloat16 (12, 24)  (arena)"), 2u) << plan;
}

TEST(Autocast, NumbersThatDoNotFitAreNotRounded) {
  const array x = ones({2, 2});
  const Arrays y = autocast(
      [&](const Arrays&) {
        const array p = matmul(x, x);
        return Arrays{p * 1e-9, select(greater(p, 0), -1e9, p), p * 0.1};
      },
      {float16})({});
  EXPECT_EQ(y[0].to_vector<float>()[0], 2e-9f);
  EXPECT_EQ(y[1].to_vector<float>()[0], -1e9f);
  EXPECT_EQ(y[2].to_vector<float>()[0],
            rounded(array(2.0f) * rounded(array(0.1f), float16), float16)
                .item<float>());
}

TEST(Autocast, TakesShortFloatingTypesOnly) {
  EXPECT_THROW(autocast([](const Arrays& x) { return x; }, {float32}),
               std::invalid_argument);
}

}  // namespace
}  // namespace treadle
