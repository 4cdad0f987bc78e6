// The same bits from run to run, and for any number of threads.
#include <random>

#include <gtest/gtest.h>

#include "treadle/ops/index.h"
#include "treadle/ops/random.h"
#include "treadle/transforms/autodiff.h"
#include "treadle/treadle.h"

#include "tests/runtime/fake_device.h"

namespace treadle {
namespace {

array values(const Shape& shape, int seed) {
  std::mt19937 rng{uint32_t(seed)};
  std::normal_distribution<float> normal;
  std::vector<float> v(size_t(size_of(shape)));
  for (float& x : v) x = normal(rng);
  return array::from(v.data(), shape);
}

// A program of the library's own kernels: tapes with reductions of both
// directions, a long sum, gathers and their gradients, random numbers, copies.
Arrays program(Stream s) {
  StreamScope scope(s);
  array x = values({700, 900}, 1), w = values({900}, 2), b = values({900}, 3);
  auto layer_norm = [](const Arrays& a) {
    array c = a[0] - mean(a[0], -1, true);
    return Arrays{c * rsqrt(mean(square(c), -1, true) + 1e-5f) * a[1] + a[2]};
  };
  auto [y, g] = vjp(layer_norm, {x, w, b}, {tanh(x)});
  array e = exp(x - max(x, -1, true));
  array rows = array::from(std::vector<int32_t>(2000, 7).data(), {2000});
  auto gather = [&](const Arrays& a) {
    return Arrays{sum(sin(take(a[0], rows, 0)))};
  };
  Arrays out = {y[0],
                g[0],
                g[1],
                g[2],
                e / sum(e, -1, true),
                sum(square(x)),
                sum(x, 0),
                contiguous(transpose(x)),
                grad(ArraysFn(gather))({x})[0],
                random::normal({1000, 100}, float32, 0.0, 1.0, random::key(3))};
  eval(out);
  return out;
}

void expect_same_bits(const Arrays& a,
                      const Arrays& b,
                      const std::string& what) {
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(
        std::memcmp(a[i].data<float>(), b[i].data<float>(), a[i].nbytes()), 0)
        << what << ", output " << i;
  }
}

TEST(Determinism, RunsGiveTheSameBits) {
  Arrays first = program(default_stream(cpu));
  for (int i = 0; i < 3; ++i) {
    expect_same_bits(program(default_stream(cpu)), first, "another run");
  }
}

TEST(Determinism, AnyNumberOfThreadsGivesTheSameBits) {
  Arrays one;
  {
    testing::FakeDeviceScope scope(1);
    one = program(new_stream(gpu));
    for (const array& a : one)
      a.data<float>();  // to the host, while the device is there
  }
  for (int threads : {4, 3, 2}) {
    testing::FakeDeviceScope scope(threads);
    Arrays many = program(new_stream(gpu));
    expect_same_bits(many, one, std::to_string(threads) + " threads");
  }
}

// Products with a transposed left factor and weight gradients, where a library
// sums differently for each number of threads.
Arrays products(Stream s) {
  StreamScope scope(s);
  array a = values({600, 700}, 1), b = values({700, 300}, 2);
  array x = values({6, 24, 24, 12}, 3), w = values({20, 3, 3, 12}, 4);
  auto conv = [](const Arrays& in) {
    return Arrays{conv2d(in[0], in[1], {1, 1}, {1, 1})};
  };
  auto [y, g] = vjp(conv, {x, w}, {values({6, 24, 24, 20}, 5)});
  Arrays out = {matmul(transpose(a), matmul(a, b)), y[0], g[0], g[1]};
  eval(out);
  return out;
}

TEST(Determinism, ProductsDoNotDependOnThreadsWhenAskedNotTo) {
  struct Scope {
    Scope() { set_deterministic(true); }
    ~Scope() { set_deterministic(false); }
  } deterministic_scope;
  EXPECT_TRUE(deterministic());
  Arrays one;
  {
    testing::FakeDeviceScope scope(1);
    one = products(new_stream(gpu));
    for (const array& a : one) a.data<float>();
  }
  for (int threads : {5, 2}) {
    testing::FakeDeviceScope scope(threads);
    expect_same_bits(
        products(new_stream(gpu)), one, std::to_string(threads) + " threads");
  }
}

}  // namespace
}  // namespace treadle
