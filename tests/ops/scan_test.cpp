// scan beside the same loop written out.
#include "treadle/ops/scan.h"

#include <stdexcept>

#include <gtest/gtest.h>

#include "treadle/runtime/explain.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

array values(const Shape& shape, uint64_t seed) {
  return random::normal(shape, float32, 0.0, 0.5, random::key(seed));
}

void expect_close(const array& a, const array& b, float tolerance = 2e-6f) {
  ASSERT_EQ(a.shape(), b.shape());
  if (a.size() == 0) return;
  EXPECT_LE(max(abs(a - b)).item<float>(), tolerance);
}

// A recurrent cell with captured weights: h' = tanh(x + h w + b).
ScanStep cell(const array& w,
              const array& b,
              const Arrays& carry,
              const Arrays& x) {
  array h = tanh(x[0] + matmul(carry[0], w) + b);
  return {{h}, {h * 2}};
}

// {x (T, B, H), h (B, H), w (H, H), b (H)} -> {last h, ys (T, B, H)}
Arrays scanned(const Arrays& a) {
  auto [carry, ys] = scan(
      [&](const Arrays& c, const Arrays& x) { return cell(a[2], a[3], c, x); },
      {a[1]},
      {a[0]});
  return {carry[0], ys[0]};
}

Arrays written_out(const Arrays& a) {
  Arrays carry{a[1]}, ys;
  for (int64_t t = 0; t < a[0].shape(0); ++t) {
    ScanStep s = cell(a[2], a[3], carry, {at(a[0], {t})});
    carry = s.carry;
    ys.push_back(s.y[0]);
  }
  return {carry[0], stack(ys, 0)};
}

Arrays inputs(int64_t steps = 7) {
  return {values({steps, 3, 4}, 1),
          values({3, 4}, 2),
          values({4, 4}, 3),
          values({4}, 4)};
}

ArraysFn loss_of(Arrays (*f)(const Arrays&)) {
  return [f](const Arrays& a) {
    const Arrays y = f(a);
    return Arrays{sum(square(y[0])) + mean(sin(y[1]))};
  };
}

TEST(Scan, IsTheLoopWrittenOut) {
  const Arrays x = inputs(), a = scanned(x), b = written_out(x);
  expect_close(a[0], b[0]);
  expect_close(a[1], b[1]);
}

TEST(Scan, GradientsAreThoseOfTheLoop) {
  const Arrays x = inputs();
  const std::vector<int> all{0, 1, 2, 3};
  const Arrays a = grad(loss_of(scanned), all)(x),
               b = grad(loss_of(written_out), all)(x);
  for (size_t i = 0; i < a.size(); ++i) expect_close(a[i], b[i], 5e-6f);
  const Arrays c = compile(grad(loss_of(scanned), all))(x);
  for (size_t i = 0; i < a.size(); ++i) expect_close(c[i], b[i], 5e-6f);
}

TEST(Scan, WeightGradientsAreOneProductAfterTheLoop) {
  const Arrays x = inputs(50);
  const std::string plan = plan_text(grad(loss_of(scanned), {0, 1, 2, 3})(x));
  size_t products = 0;
  for (size_t at = plan.find("matmul"); at != std::string::npos;
       at = plan.find("matmul", at + 1)) {
    ++products;
  }
  EXPECT_LE(products, 2u) << plan;  // its line, and its mention in another
}

TEST(Scan, TangentsAreThoseOfTheLoop) {
  const Arrays x = inputs(), t = {values({7, 3, 4}, 5),
                                  values({3, 4}, 6),
                                  values({4, 4}, 7),
                                  values({4}, 8)};
  const Arrays a = jvp(scanned, x, t).second, b = jvp(written_out, x, t).second;
  expect_close(a[0], b[0], 1e-5f);
  expect_close(a[1], b[1], 1e-5f);
}

TEST(Scan, SecondDerivativesAreThoseOfTheLoop) {
  const Arrays x = inputs(4);
  auto second = [](Arrays (*f)(const Arrays&)) {
    auto g = grad(loss_of(f), {2});
    return grad([g](const Arrays& a) { return Arrays{sum(square(g(a)[0]))}; },
                {0, 2});
  };
  const Arrays a = second(scanned)(x), b = second(written_out)(x);
  expect_close(a[0], b[0], 2e-5f);
  expect_close(a[1], b[1], 2e-5f);
}

// Large enough for kernels that prepare their constant inputs.
TEST(Scan, LargeWeightsArePreparedOnceForAllSteps) {
  const Arrays x{values({4, 20, 160}, 1),
                 values({20, 160}, 2),
                 values({160, 160}, 3) / 8,
                 values({160}, 4)};
  const std::vector<int> all{0, 1, 2, 3};
  const Arrays a = scanned(x), b = written_out(x);
  expect_close(a[0], b[0], 1e-5f);
  expect_close(a[1], b[1], 1e-5f);
  const Arrays c = compile(grad(loss_of(scanned), all))(x),
               d = grad(loss_of(written_out), all)(x);
  for (size_t i = 0; i < c.size(); ++i) {
    expect_close(c[i], d[i], 2e-5f * (1 + max(abs(d[i])).item<float>()));
  }
}

// Plans for other settings may need more memory: each has its own loop.
TEST(Scan, PlansForOtherSettingsDoNotMeet) {
  const Arrays x{values({4, 20, 160}, 1),
                 values({20, 160}, 2),
                 values({160, 160}, 3) / 8,
                 values({160}, 4)};
  const auto f = compile(scanned);
  const Arrays first = f(x);
  eval(first);
  for (bool on : {true, false, true, false}) {
    set_deterministic(on);
    const Arrays y = f(x);
    expect_close(y[0], first[0], 1e-5f);
    expect_close(y[1], first[1], 1e-5f);
  }
}

TEST(Scan, ResultsOfAnyLayoutLieInRowOrder) {
  const array init = values({3, 3}, 1), xs = values({5, 3, 3}, 2);
  auto step = [](const Arrays& c, const Arrays& x) {
    const array next = tanh(c[0] + transpose(x[0]));
    return ScanStep{{transpose(next), x[0], c[0]},
                    {next,
                     transpose(next),
                     transpose(transpose(next)),
                     x[0],
                     c[1],
                     broadcast_to(slice(next, {0, 0}, {1, 3}), {4, 3}),
                     slice(next, {1, 0}, {3, 3}),
                     next}};
  };
  auto [carry, ys] = scan(step, {init, init, init}, {xs});
  Arrays c{init, init, init};
  for (int64_t t = 0; t < 5; ++t) {
    const ScanStep s = step(c, {at(xs, {t})});
    for (size_t j = 0; j < ys.size(); ++j) {
      expect_close(at(ys[j], {t}), s.y[j]);
    }
    c = s.carry;
  }
  for (size_t j = 0; j < c.size(); ++j) expect_close(carry[j], c[j]);
}

TEST(Scan, BatchesAreThoseOfTheLoop) {
  const Arrays x = inputs();
  Arrays batched = x;
  batched[0] = values({5, 7, 3, 4}, 9);
  const std::vector<int> axes{0, kNotMapped, kNotMapped, kNotMapped};
  const Arrays a = vmap(scanned, axes)(batched),
               b = vmap(written_out, axes)(batched);
  expect_close(a[0], b[0]);
  expect_close(a[1], b[1]);
  auto g = [&](Arrays (*f)(const Arrays&)) {
    return grad([&, f](const Arrays& v) {
      Arrays in = batched;
      in[2] = v[0];
      return Arrays{sum(square(vmap(f, axes)(in)[1]))};
    })({x[2]})[0];
  };
  expect_close(g(scanned), g(written_out), 5e-5f);
}

TEST(Scan, GoesBackwardAndCarriesSeveralArrays) {
  const array x({1.0f, 2.0f, 3.0f, 4.0f});
  auto [carry, ys] = scan(
      [](const Arrays& c, const Arrays& v) {
        return ScanStep{{c[0] + v[0], c[0]}, {c[0], c[1], v[0]}};
      },
      {array(0.0f), array(-1.0f)},
      {x},
      {.reverse = true});
  EXPECT_EQ(carry[0].item<float>(), 10);
  EXPECT_EQ(carry[1].item<float>(), 9);
  EXPECT_EQ(ys[0].to_vector<float>(), (std::vector<float>{9, 7, 4, 0}));
  EXPECT_EQ(ys[1].to_vector<float>(), (std::vector<float>{7, 4, 0, -1}));
  EXPECT_EQ(ys[2].to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
}

TEST(Scan, CarriesMaySwapPlaces) {
  auto [carry, ys] = scan(
      [](const Arrays& c, const Arrays&) {
        return ScanStep{{c[1], c[0]}, {}};
      },
      {array(1.0f), array(2.0f)},
      {},
      {.length = 5});
  EXPECT_EQ(carry[0].item<float>(), 2);
  EXPECT_EQ(carry[1].item<float>(), 1);
  EXPECT_TRUE(ys.empty());
}

TEST(Scan, NoStepsLeaveTheCarry) {
  const Arrays out = scanned(inputs(0));
  expect_close(out[0], inputs(0)[1], 0);
  EXPECT_EQ(out[1].shape(), (Shape{0, 3, 4}));
  const Arrays g = grad(loss_of(scanned), {0, 2})(inputs(0));
  EXPECT_EQ(max(abs(g[1])).item<float>(), 0);
}

TEST(Scan, DrawsOtherNumbersInEachStep) {
  random::seed(3);
  auto draw = [] {
    return scan(
               [](const Arrays&, const Arrays&) {
                 return ScanStep{{}, {random::uniform(0.0, 1.0, {4})}};
               },
               {},
               {},
               {.length = 3})
        .second[0];
  };
  const array first = draw(), second = draw();
  EXPECT_GT(max(abs(at(first, {0}) - at(first, {1}))).item<float>(), 0);
  EXPECT_GT(max(abs(first - second)).item<float>(), 0);
  random::seed(3);
  expect_close(draw(), first, 0);
}

TEST(Scan, LoopsMayNest) {
  auto inner = [](const array& x) {
    return scan(
               [](const Arrays& c, const Arrays& v) {
                 return ScanStep{{c[0] * v[0]}, {c[0]}};
               },
               {array(1.0f)},
               {x})
        .first[0];
  };
  auto outer = [&](const array& x) {
    return sum(scan(
                   [&](const Arrays& c, const Arrays& v) {
                     array p = inner(v[0]);
                     return ScanStep{{c[0] + p}, {p}};
                   },
                   {array(0.0f)},
                   {x})
                   .second[0]);
  };
  const array x({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}, {2, 3});
  EXPECT_EQ(outer(x).item<float>(), 126);
  expect_close(grad(outer)(x), prod(x, 1, true) / x, 1e-5f);
}

TEST(Scan, WrongStepsAreNamed) {
  const array x = ones({4, 2});
  auto run = [&](const ScanFn& f, const ScanOptions& o = {}) {
    return scan(f, {zeros({2})}, {x}, o);
  };
  auto same = [](const Arrays& c, const Arrays& v) {
    return ScanStep{{c[0] + v[0]}, {}};
  };
  EXPECT_THROW(run(same, {.length = 3}), std::invalid_argument);
  EXPECT_THROW(run([](const Arrays&, const Arrays&) { return ScanStep{}; }),
               std::invalid_argument);
  EXPECT_THROW(run([](const Arrays&, const Arrays& v) {
                 return ScanStep{{astype(v[0], float16)}, {}};
               }),
               std::invalid_argument);
  EXPECT_THROW(scan(same, {zeros({2})}, {}), std::invalid_argument);
  EXPECT_THROW(scan(same, {zeros({2})}, {array(1.0f)}), std::invalid_argument);
}

}  // namespace
}  // namespace treadle
