// Random programs give the same values planned and node by node. The seeds are
// fixed: a failure is reproduced by its number.
#include <random>

#include <gtest/gtest.h>

#include "treadle/runtime/interpreter.h"
#include "treadle/runtime/plan_cache.h"
#include "treadle/treadle.h"

#include "tests/support/op_check.h"

namespace treadle::testing {
namespace {

// A program is a function of the seed alone, so that it can be recorded twice.
class RandomProgram {
 public:
  // Every tenth is large enough for the executor and its threads.
  explicit RandomProgram(int seed)
      : rng_(uint32_t(seed)), large_(seed % 10 == 9) {}

  Arrays leaves() {
    Arrays out;
    for (int i = 0; i < 3; ++i) {
      Shape shape = i == 0   ? Shape{rows(), columns()}
                    : i == 1 ? Shape{columns()}
                             : Shape{rows(), 1};
      std::vector<float> v(size_t(size_of(shape)));
      std::uniform_real_distribution<float> u(-1, 1);
      for (float& x : v) x = u(rng_);
      out.push_back(array::from(v.data(), shape));
    }
    return out;
  }

  // 5 to 40 ops over the leaves. Some values are kept and returned.
  Arrays record(const Arrays& leaves) {
    std::mt19937 rng = rng_;
    pool_ = leaves;
    Arrays kept;
    int count = 5 + int(rng() % 36);
    for (int i = 0; i < count; ++i) {
      array y = step(rng);
      if (rng() % 5 == 0) kept.push_back(y);
      pool_.push_back(std::move(y));
    }
    kept.push_back(pool_.back());
    Arrays dropped = std::move(pool_);
    pool_.clear();
    return kept;
  }

 private:
  int64_t rows() {
    return size_[0] ? size_[0]
                    : (size_[0] = 1 + int64_t(rng_() % (large_ ? 400 : 7)));
  }
  int64_t columns() {
    return size_[1] ? size_[1]
                    : (size_[1] = 1 + int64_t(rng_() % (large_ ? 700 : 40)));
  }

  const array& pick(std::mt19937& rng) { return pool_[rng() % pool_.size()]; }

  // Two that broadcast.
  std::pair<array, array> pair(std::mt19937& rng) {
    for (int tries = 0; tries < 20; ++tries) {
      array a = pick(rng), b = pick(rng);
      try {
        broadcast_shapes("", a.shape(), b.shape());
        return {a, b};
      } catch (const std::invalid_argument&) {
      }
    }
    array a = pick(rng);
    return {a, a};
  }

  static array bounded(const array& x) { return tanh(x); }

  array step(std::mt19937& rng) {
    array x = pick(rng);
    switch (rng() % 18) {
      case 0:
        return sin(x);
      case 1:
        return exp(bounded(x));
      case 2:
        return square(x) * 0.5;
      case 3:
        return abs(x) + 0.25;
      case 4:
        return negative(x);
      case 5: {
        auto [a, b] = pair(rng);
        return bounded(a + b);
      }
      case 6: {
        auto [a, b] = pair(rng);
        return a * b;
      }
      case 7: {
        auto [a, b] = pair(rng);
        return a - b * 0.5;
      }
      case 8: {
        auto [a, b] = pair(rng);
        return maximum(a, b);
      }
      case 9: {
        auto [a, b] = pair(rng);
        return where(less(a, b), a, b * 2.0);
      }
      case 10:
        if (x.ndim() == 0) return x + 1.0;
        return bounded(sum(x, int(rng() % uint32_t(x.ndim())), rng() % 2 == 0));
      case 11:
        if (x.ndim() == 0) return x * 3.0;
        return max(x, -1, true);
      case 12:
        return mean(x);
      case 13:
        return x.ndim() == 2 ? transpose(x) : x + 0.5;
      case 14:
        return reshape(x, {-1});
      case 15: {
        if (x.ndim() != 2) return x * 0.5;
        return bounded(matmul(x, transpose(x)));
      }
      case 16: {
        if (x.ndim() == 0) return x;
        array e = exp(x - max(x, -1, true));
        return e / sum(e, -1, true);
      }
      default:
        return astype(astype(x, rng() % 2 ? float16 : bfloat16), float32);
    }
  }

  std::mt19937 rng_;
  bool large_;
  int64_t size_[2] = {0, 0};
  Arrays pool_;
};

class RandomPrograms : public ::testing::TestWithParam<int> {};

TEST_P(RandomPrograms, PlannedEqualsNodeByNode) {
  // Thirty seeds to a test: 300 in all.
  for (int seed = GetParam() * 30; seed < GetParam() * 30 + 30; ++seed) {
    RandomProgram program(seed);
    Arrays leaves = program.leaves();
    eval(leaves);
    Arrays planned = program.record(leaves);
    eval(planned);
    runtime::PlanningScope off(false);
    Arrays reference = program.record(leaves);
    eval(reference);
    ASSERT_EQ(planned.size(), reference.size());
    for (size_t i = 0; i < planned.size(); ++i) {
      ASSERT_EQ(planned[i].shape(), reference[i].shape()) << "seed " << seed;
      auto a = planned[i].to_vector<double>(),
           b = reference[i].to_vector<double>();
      for (size_t k = 0; k < a.size(); ++k) {
        // Half casts inside make a flip of one half ulp possible where a value
        // lies on the edge between two halves.
        ASSERT_NEAR(a[k], b[k], 2e-2 * std::max(1.0, std::abs(b[k])))
            << "seed " << seed << ", output " << i << ", element " << k;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomPrograms, ::testing::Range(0, 10));

// Forward, backward and update of a small network: sizes at which two threads
// work, sums of both directions in one tape, memory reused between steps.
TEST(Programs, ATrainingStepEqualsNodeByNode) {
  auto values = [](Shape shape, int seed) {
    std::mt19937 rng{uint32_t(seed)};
    std::normal_distribution<float> normal(0, 0.1f);
    std::vector<float> v(size_t(size_of(shape)));
    for (float& x : v) x = normal(rng);
    return array::from(v.data(), shape);
  };
  array x = values({64, 784}, 1);
  std::vector<uint8_t> labels(64);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = uint8_t(i * 7 % 10);
  array y = array::from(labels.data(), {64});
  Arrays params = {values({256, 784}, 3),
                   values({256}, 4),
                   values({10, 256}, 5),
                   values({10}, 6)};
  auto loss = [&](const Arrays& w) {
    array h = maximum(matmul(x, transpose(w[0])) + w[1], 0);
    array z = matmul(h, transpose(w[2])) + w[3];
    array score = sum(where(equal(arange(10), expand_dims(y, -1)), z, 0), -1);
    return Arrays{mean(logsumexp(z, -1) - score)};
  };
  auto step = [&](bool planned) {
    runtime::PlanningScope scope(planned);
    auto [out, grads] = value_and_grad(loss, {0, 1, 2, 3})(params);
    for (size_t i = 0; i < params.size(); ++i) {
      array m = zeros_like(params[i]) * 0.9f + grads[i];
      out.push_back(m);
      out.push_back(params[i] - m * 0.1f);
    }
    grads.clear();
    eval(out);
    return out;
  };
  Arrays got = step(true), want = step(false);
  for (size_t i = 0; i < got.size(); ++i) {
    // Products of 784 and sums of 64 terms: errors are in proportion to the
    // largest element, not to those that happen to cancel.
    auto a = got[i].to_vector<float>(), b = want[i].to_vector<float>();
    float largest = 0;
    for (float v : b) largest = std::max(largest, std::abs(v));
    for (size_t k = 0; k < a.size(); ++k) {
      ASSERT_NEAR(a[k], b[k], 2e-6f * largest)
          << "value " << i << ", element " << k;
    }
  }
}

// One number for each row, without the rows' axis, meets a square array: by the
// rules of broadcasting it goes along the row.
TEST(Programs, NumbersOfRowsBroadcastAlongTheRow) {
  std::vector<float> v(25);
  for (size_t i = 0; i < v.size(); ++i) v[i] = float(i * i % 23);
  array x = array::from(v.data(), {5, 5});
  array means = mean(x, 1);
  array y = x - sin(means) * 2.0;
  array z = maximum(x, expand_dims(means, 1)) + means;
  eval({y, z});
  runtime::PlanningScope off(false);
  array m = mean(x, 1);
  expect_close(y, x - sin(m) * 2.0, 4, "y");
  expect_close(z, maximum(x, expand_dims(m, 1)) + m, 4, "z");
}

TEST(PlanCache, TheSameStructureIsPlannedOnce) {
  auto program = [](int64_t n) {
    array x = ones({n, 3});
    x.eval();
    array y = exp(x) + x;
    y.eval();
  };
  program(4);
  auto before = runtime::plan_counts();
  program(4);
  auto again = runtime::plan_counts();
  EXPECT_EQ(again.plans, before.plans);
  EXPECT_EQ(again.instances, before.instances);
  program(5);
  auto grown = runtime::plan_counts();
  EXPECT_EQ(grown.plans, before.plans) << "another length is no other plan";
  EXPECT_GT(grown.instances, before.instances);
}

}  // namespace
}  // namespace treadle::testing
