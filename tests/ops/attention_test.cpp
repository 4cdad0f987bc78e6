// Attention where there is no kernel: in float64, and what an added mask gets.
// Many scores are computed a block of queries at a time.
#include <gtest/gtest.h>

#include "treadle/runtime/memory.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

constexpr int64_t kRows = 2000, kKeys = 1100, kHeads = 2, kDepth = 8;

struct Form {
  const char* mode;
  Shape mask;  // empty: none
  bool sinks = false;
  int64_t rows = kRows;
};
// Blocks of 476 queries, and one of a single query behind them.
constexpr int64_t kOneMore = 3 * 476 + 1;

struct Result {
  Arrays values;  // the result, then the gradients
  double peak;    // bytes above what was there before
};

Result run(const Form& f, Dtype dtype) {
  auto normal = [&](Shape shape, uint64_t seed) {
    array x = random::normal(shape, float32, 0, 1, random::key(seed));
    return astype(x, dtype);
  };
  Arrays in{normal({1, kHeads, f.rows, kDepth}, 1),
            normal({1, 1, kKeys, kDepth}, 2),
            normal({1, 1, kKeys, kDepth}, 3)};
  if (!f.mask.empty()) in.push_back(normal(f.mask, 4));
  if (f.sinks) in.push_back(normal({kHeads}, 5));
  const array weight = normal({1, kHeads, f.rows, kDepth}, 6);
  eval(in);
  eval({weight});
  std::vector<int> all;
  for (int i = 0; i < int(in.size()); ++i) all.push_back(i);
  auto loss = [&](const Arrays& x) {
    array y =
        fast::scaled_dot_product_attention(x[0],
                                           x[1],
                                           x[2],
                                           0.5,
                                           f.mode,
                                           f.mask.empty() ? array() : x[3],
                                           f.sinks ? x.back() : array());
    return Arrays{sum(y * weight), y};
  };
  const double before = double(get_active_memory());
  reset_peak_memory();
  auto [y, g] = value_and_grad(ArraysFn(loss), all)(in);
  Result r{{y[1]}, 0};
  r.values.insert(r.values.end(), g.begin(), g.end());
  eval(r.values);
  r.peak = double(get_peak_memory()) - before;
  return r;
}

class AttentionBlocks : public ::testing::TestWithParam<Form> {};

TEST_P(AttentionBlocks, GiveWhatTheKernelGives) {
  const Result want = run(GetParam(), float32), got = run(GetParam(), float64);
  ASSERT_EQ(got.values.size(), want.values.size());
  for (size_t i = 0; i < got.values.size(); ++i) {
    const array x = got.values[i], y = astype(want.values[i], float64);
    const double size = max(abs(x)).item<double>();
    EXPECT_LE(max(abs(x - y)).item<double>(), 1e-5 * size) << i;
  }
  // With all scores at once it is 3.2 times their size and more. A mask of
  // their size has a gradient of that size.
  const Form& f = GetParam();
  const double scores = double(kHeads * f.rows * kKeys);
  if (size_of(f.mask) < f.rows * kKeys) {
    EXPECT_LT(got.peak, 2.5 * 8 * scores);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Forms,
    AttentionBlocks,
    ::testing::Values(Form{"", {}},
                      Form{"causal", {}},  // 900 see no key
                      Form{"causal", {}, true},
                      Form{"causal", {}, false, 900},  // all see a key
                      Form{"", {kRows, kKeys}},
                      Form{"", {1, kHeads, 1, kKeys}, true},
                      Form{"", {kHeads, kRows, kKeys}},
                      Form{"", {kOneMore, kKeys}, false, kOneMore}));

// float32: the kernel for all but the mask, which is summed block by block.
TEST(Attention, TheGradientOfAMaskDoesNotHoldTheScores) {
  const Result r = run({"", {1, 1, 1, kKeys}}, float32);
  EXPECT_LT(r.peak, 1.5 * kHeads * kRows * kKeys * 4);
}

}  // namespace
}  // namespace treadle
