// The same bits from run to run, and for any number of threads.
#include <random>

#include <gtest/gtest.h>

#include "treadle/graph/record.h"
#include "treadle/ops/index.h"
#include "treadle/ops/random.h"
#include "treadle/runtime/kernel.h"
#include "treadle/transforms/autodiff.h"
#include "treadle/treadle.h"

#include "tests/cases/composed.h"
#include "tests/cases/core.h"
#include "tests/cases/cumulative.h"
#include "tests/cases/elementwise.h"
#include "tests/cases/fast.h"
#include "tests/cases/indexing.h"
#include "tests/cases/others.h"
#include "tests/cases/products.h"
#include "tests/cases/sort.h"
#include "tests/cases/spatial.h"
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

// Every case row over a batch that is large enough to be shared, and its
// gradient.
Arrays batched(const testing::OpCase& c, Stream s) {
  StreamScope scope(s);
  testing::OpCase large = c;
  int64_t elements = 1;
  for (const testing::Input& in : c.inputs)
    elements = std::max(elements, size_of(in.shape));
  const int64_t batch = std::max<int64_t>(3, 60'000 / elements);
  std::vector<int> axes(c.inputs.size(), 0), floating;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    Shape& shape = large.inputs[i].shape;
    shape.insert(shape.begin(), batch);
    if (c.inputs[i].differentiable && is_floating(c.inputs[i].dtype))
      floating.push_back(int(i));
  }
  const ArraysFn f =
      vmap([&](const Arrays& x) { return Arrays{c.f(x)}; }, axes);
  const Arrays x = testing::draw(large);
  Arrays out = f(x);
  if (c.gradient && !floating.empty() && is_floating(out[0].dtype())) {
    const ArraysFn loss = [&](const Arrays& v) { return Arrays{sum(f(v)[0])}; };
    for (array& g : grad(loss, floating)(x)) out.push_back(g);
  }
  eval(out);
  return out;
}

void expect_no_dependence_on_threads(const testing::OpCase& c) {
  Arrays one;
  {
    testing::FakeDeviceScope scope(1);
    for (const array& a : batched(c, new_stream(gpu)))
      one.push_back(view(flatten(a), uint8));
    eval(one);
    for (const array& a : one) a.to_vector<uint8_t>();
  }
  for (int threads : {4, 3, 2}) {
    testing::FakeDeviceScope scope(threads);
    const Arrays many = batched(c, new_stream(gpu));
    ASSERT_EQ(many.size(), one.size());
    for (size_t i = 0; i < many.size(); ++i) {
      EXPECT_EQ(view(flatten(many[i]), uint8).to_vector<uint8_t>(),
                one[i].to_vector<uint8_t>())
          << c.name << ", output " << i << ", " << threads << " threads";
    }
  }
}

// Writes by how many threads it may be computed.
struct Threads : OpBase<Threads> {
  static constexpr std::string_view op_name = "threads";
  Specs infer(std::span<const Spec> in) const override { return {in[0]}; }
  Arrays jvp(const Arrays&,
             const Arrays&,
             const Arrays&,
             Argnums) const override {
    return not_differentiable(op_name);
  }
  Arrays vjp(const Arrays&,
             const Arrays&,
             const Arrays&,
             Argnums) const override {
    return not_differentiable(op_name);
  }
  Mapped vmap(const Arrays& x, std::span<const int> axes) const override {
    return {{record(Threads{}, {x[0]}, resolve({}))}, {axes[0]}};
  }
};

TEST(Determinism, TheComparisonOfRowsSeesADependence) {
  runtime::Kernel kernel;
  kernel.name = "threads";
  kernel.why_not = [](const Op&, std::span<const Spec>, std::span<const Spec>) {
    return std::string();
  };
  kernel.run = [](const runtime::Task& task) {
    std::fill_n(static_cast<float*>(task.out[0].data),
                size_of(task.out[0].shape),
                float(task.threads));
  };
  runtime::kernel_table(Device::Type::cpu).add<Threads>({kernel});
  testing::OpCase c;
  c.name = "threads";
  c.f = [](const Arrays& x) { return record(Threads{}, {x[0]}, resolve({})); };
  c.inputs = {{{3, 4}}};
  c.gradient = false;
  for (int threads : {1, 4}) {
    testing::FakeDeviceScope scope(threads);
    const std::vector<float> got =
        batched(c, new_stream(gpu))[0].to_vector<float>();
    EXPECT_EQ(got.front(), float(threads));
  }
}

// Everything when asked for it, and the library's own kernels without.
TEST(Determinism, NoCaseRowDependsOnTheNumberOfThreads) {
  for (bool asked : {true, false}) {
    set_deterministic(asked);
    for (const auto& table : {testing::elementwise_cases(),
                              testing::core_cases(),
                              testing::composed_cases(),
                              testing::cumulative_cases(),
                              testing::fast_cases(),
                              testing::fft_cases(),
                              testing::indexing_cases(),
                              testing::other_cases(),
                              testing::sort_cases(),
                              testing::spatial_cases()}) {
      for (const testing::OpCase& c : table) {
        if (!c.mapped) continue;
        const bool library = c.name.find("matmul") != c.name.npos ||
                             c.name.find("conv") != c.name.npos ||
                             c.name.find("mm") != c.name.npos ||
                             c.name.find("inner") != c.name.npos ||
                             c.name.find("tensordot") != c.name.npos;
        if (asked || !library) expect_no_dependence_on_threads(c);
      }
    }
  }
  set_deterministic(false);
}

}  // namespace
}  // namespace treadle
