// checkpoint: the same values and gradients with less memory, however often a
// function is wrapped.
#include "treadle/transforms/checkpoint.h"

#include <gtest/gtest.h>

#include "treadle/runtime/explain.h"
#include "treadle/runtime/memory.h"
#include "treadle/runtime/plan_cache.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

array values(const Shape& shape, uint64_t seed) {
  return random::normal(shape, float32, 0.0, 1.0, random::key(seed));
}

float largest_difference(const array& a, const array& b) {
  return max(abs(a - b)).item<float>();
}

// Two products with an intermediate that the gradient needs.
Arrays layer(const Arrays& x) {
  return {tanh(matmul(x[0], x[1])) * sigmoid(x[0])};
}

TEST(Checkpoint, GivesTheSameValuesAndGradients) {
  const array x = values({8, 8}, 1), w = values({8, 8}, 2);
  auto loss = [](const ArraysFn& f) {
    return value_and_grad(
        [f](const Arrays& a) { return Arrays{sum(square(f(a)[0]))}; }, {0, 1});
  };
  auto [y, g] = loss(layer)({x, w});
  auto [yc, gc] = loss(checkpoint(layer))({x, w});
  EXPECT_EQ(y[0].item<float>(), yc[0].item<float>());
  EXPECT_EQ(largest_difference(g[0], gc[0]), 0);
  EXPECT_EQ(largest_difference(g[1], gc[1]), 0);
}

TEST(Checkpoint, CapturedArraysGetTheirGradients) {
  const array x = values({4, 4}, 1), w = values({4, 4}, 2);
  auto g = grad([&](const array& v) {
    auto f = checkpoint([v](const Arrays& a) { return layer({a[0], v}); });
    return sum(f({x})[0]);
  });
  auto plain = grad([&](const array& v) { return sum(layer({x, v})[0]); });
  EXPECT_EQ(largest_difference(g(w), plain(w)), 0);
}

TEST(Checkpoint, AnArrayGivenTwiceGetsBothParts) {
  const array x = values({4}, 3);
  auto product =
      checkpoint([](const Arrays& a) { return Arrays{sin(a[0]) * cos(a[1])}; });
  auto g = grad([&](const array& v) { return sum(product({v, v})[0]); });
  EXPECT_LT(largest_difference(g(x), cos(2 * x)), 1e-6f);
}

TEST(Checkpoint, DrawsTheSameNumbersTwice) {
  const array x = values({64}, 4);
  auto drop = [](const Arrays& a) {
    return Arrays{a[0] * a[0] * random::bernoulli(0.5, a[0].shape())};
  };
  auto run = [&](const ArraysFn& f) {
    random::seed(7);
    return grad([&](const array& v) { return sum(f({v})[0]); })(x);
  };
  EXPECT_EQ(largest_difference(run(drop), run(checkpoint(drop))), 0);
}

TEST(Checkpoint, TangentsSecondDerivativesAndBatchesPassThrough) {
  const array x = values({5}, 5);
  auto cube = [](const Arrays& a) { return Arrays{a[0] * a[0] * a[0]}; };
  const ArraysFn f = checkpoint(cube);
  auto [y, t] = jvp(f, {x}, {ones_like(x)});
  EXPECT_LT(largest_difference(t[0], 3 * square(x)), 1e-5f);
  auto slope = grad([&](const array& v) { return sum(f({v})[0]); });
  auto second = grad([&](const array& v) { return sum(slope(v)); });
  EXPECT_LT(largest_difference(second(x), 6 * x), 1e-5f);
  auto batched = vmap(f);
  EXPECT_LT(largest_difference(batched({x})[0], cube({x})[0]), 1e-6f);
  auto through = grad([&](const array& v) { return sum(batched({v})[0]); });
  EXPECT_LT(largest_difference(through(x), 3 * square(x)), 1e-5f);
}

// The peak of a gradient over 8 layers, each with four intermediates of 1 MB.
size_t peak_of_gradient(bool checkpointed, bool compiled) {
  const array x = values({512, 512}, 1) * 0.1;
  Arrays w;
  for (int i = 0; i < 8; ++i) w.push_back(values({512, 512}, 2) * 0.05);
  eval(w);
  x.eval();
  ArraysFn block = [](const Arrays& a) {
    array h = a[0];
    for (int i = 0; i < 4; ++i) h = tanh(matmul(h, a[1]));
    return Arrays{h};
  };
  if (checkpointed) block = checkpoint(block);
  ArraysFn run = grad([&](const Arrays& a) {
    array h = a[0];
    for (const array& wi : w) h = block({h, wi})[0];
    return Arrays{mean(square(h))};
  });
  if (compiled) run = compile(run);
  reset_peak_memory();
  eval(run({x}));
  return get_peak_memory();
}

TEST(Checkpoint, LowersThePeak) {
  for (bool compiled : {false, true}) {
    const double with = double(peak_of_gradient(true, compiled)),
                 without = double(peak_of_gradient(false, compiled));
    EXPECT_LT(with, 0.65 * without) << (compiled ? "compiled" : "eager");
  }
}

TEST(Checkpoint, StepsOfEqualFormShareAPlan) {
  const array x = values({8}, 1);
  const ArraysFn f =
      checkpoint([](const Arrays& a) { return Arrays{sin(exp(a[0]) * a[0])}; });
  auto g = grad([&](const array& v) { return sum(f({v})[0]); });
  eval({x});
  g(x).eval();
  const size_t before = runtime::plan_counts().plans;
  for (int i = 0; i < 3; ++i) g(x).eval();
  EXPECT_EQ(runtime::plan_counts().plans, before);
}

TEST(Checkpoint, WrappedAgainIsTheSame) {
  int runs = 0;
  const array x = values({8}, 1);
  auto plan_of = [&](int times) {
    ArraysFn f = [&](const Arrays& a) {
      ++runs;
      return Arrays{sin(sin(a[0]))};
    };
    for (int i = 0; i < times; ++i) f = checkpoint(f);
    array g = grad([&](const array& v) { return sum(f({v})[0]); })(x);
    EXPECT_LT(largest_difference(g, cos(sin(x)) * cos(x)), 1e-6f);
    g = grad([&](const array& v) { return sum(f({v})[0]); })(x);
    const std::string text = plan_text(Arrays{g});
    return text.substr(0, text.find('\n'));  // its one step
  };
  const std::string once = plan_of(1);
  EXPECT_EQ(plan_of(4), once);
  EXPECT_EQ(runs, 4) << "the reverse walk records what was recorded, not f";
}

}  // namespace
}  // namespace treadle
