// Arrays of more than 2^31 elements, one test for each family of kernels. They
// take 12 GB, and are skipped where fewer than 16 are free, in debug builds and
// under sanitizers.
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "treadle/runtime/memory.h"
#include "treadle/treadle.h"

namespace treadle {
namespace {

constexpr int64_t kRows = 46'341, kColumns = 46'342;
constexpr int64_t kCount = kRows * kColumns;  // 2^31 + 50,974
static_assert(kCount > int64_t{1} << 31);
// The pattern of the elements: i % 251.
constexpr int kPeriod = 251;

int64_t available_gigabytes() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  int64_t kilobytes;
  while (file >> name >> kilobytes >> unit) {
    if (name == "MemAvailable:") return kilobytes >> 20;
  }
  return 0;
}

class LargeArray : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
#ifdef NDEBUG
    if (available_gigabytes() < 16) return;
    std::unique_ptr<uint8_t[]> v(new uint8_t[kCount]);
    for (int i = 0; i < kPeriod; ++i) v[size_t(i)] = uint8_t(i);
    for (int64_t have = kPeriod; have < kCount;) {
      int64_t more = std::min(have, kCount - have);
      std::memcpy(&v[size_t(have)], &v[0], size_t(more));
      have += more;
    }
    x_ = array::from(v.get(), {kCount});
    // What one test frees is not kept for the next.
    cache_limit_ = set_cache_limit(0);
#endif
  }
  static void TearDownTestSuite() {
    if (!x_.null()) set_cache_limit(cache_limit_);
    x_ = array();
  }
  void SetUp() override {
    if (x_.null()) GTEST_SKIP() << "needs 16 GB and a release build";
  }

  static uint8_t at(int64_t i) { return uint8_t(i % kPeriod); }
  static array x() { return x_; }
  static array matrix() { return reshape(x_, {kRows, kColumns}); }
  // Elements of a vector, without copying the rest.
  static uint8_t element(const array& y, int64_t i) {
    return slice(y, {i}, {i + 1}).item<uint8_t>();
  }
  static constexpr int64_t kPlaces[] = {
      0, 1, (int64_t{1} << 31) - 1, int64_t{1} << 31, kCount - 2, kCount - 1};

 private:
  static inline array x_;
  static inline size_t cache_limit_ = 0;
};

TEST_F(LargeArray, ElementwiseRowsReachTheEnd) {
  array y = 2 * x() + 1;
  eval({y});
  for (int64_t i : kPlaces)
    EXPECT_EQ(element(y, i), uint8_t(2 * at(i) + 1)) << i;
}

TEST_F(LargeArray, SumsAndExtremesCountAll) {
  uint32_t sum = 0;  // modulo 2^32, as the result is uint32
  const int64_t periods = kCount / kPeriod, rest = kCount % kPeriod;
  sum += uint32_t(periods * (kPeriod * (kPeriod - 1) / 2));
  sum += uint32_t(rest * (rest - 1) / 2);
  EXPECT_EQ(treadle::sum(x()).item<uint32_t>(), sum);
  EXPECT_EQ(max(x()).item<uint8_t>(), kPeriod - 1);
  // Along rows, and down columns.
  array rows = max(matrix(), 1), columns = min(matrix(), 0);
  EXPECT_EQ(min(rows).item<uint8_t>(), kPeriod - 1);
  EXPECT_EQ(max(columns).item<uint8_t>(), 0);
}

TEST_F(LargeArray, ArgmaxFindsWhatLiesAtTheEnd) {
  const int64_t place = kCount - 3;
  array y = slice_update(x(), array({uint8_t(255)}), {place}, {place + 1});
  EXPECT_EQ(argmax(y).item<uint32_t>(), uint32_t(place));
}

TEST_F(LargeArray, TransposedCopiesAreInPlace) {
  array y = contiguous(transpose(matrix()));
  eval({y});
  for (auto [r, c] : {std::pair<int64_t, int64_t>{0, 0},
                      {kRows - 1, kColumns - 1},
                      {kRows - 1, 0},
                      {12'345, kColumns - 7}}) {
    EXPECT_EQ(slice(y, {c, r}, {c + 1, r + 1}).item<uint8_t>(),
              at(r * kColumns + c));
  }
}

TEST_F(LargeArray, RunningSumsGoOnToTheEnd) {
  array y = cumsum(x());
  eval({y});
  for (int64_t i : kPlaces) {
    const int64_t n = i + 1, periods = n / kPeriod, rest = n % kPeriod;
    const int64_t sum =
        periods * (kPeriod * (kPeriod - 1) / 2 % 256) + rest * (rest - 1) / 2;
    EXPECT_EQ(element(y, i), uint8_t(sum)) << i;
  }
}

TEST_F(LargeArray, RowsAreTakenFromAndPutAtTheEnd) {
  array places = array({kCount - 1, int64_t{0}, int64_t{1} << 31});
  EXPECT_EQ(take(x(), places).to_vector<uint8_t>(),
            (std::vector<uint8_t>{at(kCount - 1), 0, at(int64_t{1} << 31)}));
  array row = take(matrix(), array({int64_t{-1}}), 0);
  EXPECT_EQ(element(reshape(row, {-1}), kColumns - 1), at(kCount - 1));
  array y = scatter(x(), places, array({uint8_t(9)}), 0, ScatterMode::add);
  eval({y});
  EXPECT_EQ(element(y, kCount - 1), at(kCount - 1) + 9);
  EXPECT_EQ(element(y, kCount - 2), at(kCount - 2));
}

TEST_F(LargeArray, SortingCountsAll) {
  array y = sort(x());
  eval({y});
  const int64_t each = kCount / kPeriod, more = kCount % kPeriod;
  int64_t end = 0;
  for (int v : {0, 1, 2}) {
    end += each + (v < more);
    EXPECT_EQ(element(y, end - 1), v);
    EXPECT_EQ(element(y, end), v + 1);
  }
  EXPECT_EQ(element(y, kCount - 1), kPeriod - 1);
  EXPECT_EQ(element(y, kCount - each), kPeriod - 1);
  EXPECT_EQ(searchsorted(y, array({uint8_t(kPeriod - 1)})).item<uint32_t>(),
            uint32_t(kCount - each));
}

TEST_F(LargeArray, JoinedAndPaddedArraysAreWhole) {
  array y = concatenate({x(), array({uint8_t(7)})});
  eval({y});
  for (int64_t i : kPlaces) EXPECT_EQ(element(y, i), at(i));
  EXPECT_EQ(element(y, kCount), 7);
  y = pad(matrix(), {0, 1}, {0, 0});
  eval({y});
  EXPECT_EQ(element(reshape(y, {-1}), kRows * (kColumns + 1) - 1),
            at(kCount - 1));
}

// The same numbers as bfloat16, which has them all.
array halves(const array& x) {
  array y = astype(x, bfloat16);
  eval({y});
  return y;
}

TEST_F(LargeArray, ProductsOfManyRowsAndWithManyResults) {
  // Columns of x times (1, 2, 3): 3 bytes make a row.
  const int64_t rows = kCount / 3;
  array a =
      slice(reshape(slice(x(), {0}, {3 * rows}), {rows, 3}), {0, 0}, {rows, 3});
  a = halves(a);
  array y = matmul(a, astype(array({1, 2, 3}), bfloat16));
  EXPECT_EQ(y.shape(), (Shape{rows}));
  for (int64_t i : {int64_t{0}, rows / 2, rows - 1}) {
    const array want = matmul(slice(a, {i, 0}, {i + 1, 3}),
                              astype(array({1, 2, 3}), bfloat16));
    EXPECT_EQ(slice(y, {i}, {i + 1}).item<float>(), want.item<float>()) << i;
  }
  a = array();
  auto small = [](int64_t n, int64_t axis) {
    return expand_dims(
        astype(remainder(arange(n, int32), 7 + int(axis)), bfloat16),
        int(axis));
  };
  array outer = matmul(small(kRows, 1), small(kColumns, 0));
  eval({outer});
  for (auto [r, c] : {std::pair<int64_t, int64_t>{0, 1},
                      {kRows - 1, kColumns - 1},
                      {kRows - 2, 3}}) {
    EXPECT_EQ(slice(outer, {r, c}, {r + 1, c + 1}).item<float>(),
              float((r % 8) * (c % 7)));
  }
}

TEST_F(LargeArray, SoftmaxAndNormsOfManyRows) {
  const array m = halves(matrix());
  auto last = [](const array& y) {
    return slice(y, {kRows - 1, 0}, {kRows, kColumns});
  };
  auto check = [&](const std::function<array(const array&)>& f) {
    array y = f(m);
    eval({y});
    array got = contiguous(last(y)), want = f(contiguous(last(m)));
    EXPECT_TRUE(all(equal(got, want)).item<bool>());
  };
  check([](const array& x) { return softmax(x, -1); });
  check([](const array& x) { return fast::rms_norm(x, {}, 1e-5); });
}

TEST_F(LargeArray, WindowsAndFiltersReachTheEnd) {
  // An even number of rows of 4 places, 16 channels each.
  const int64_t rows = kCount / 128 * 2;
  array image = reshape(slice(x(), {0}, {rows * 64}), {1, rows, 4, 16});
  auto end = [](const array& y, int64_t count) {
    const int64_t n = y.shape(1);
    return contiguous(
        slice(y, {0, n - count, 0, 0}, {1, n, y.shape(2), y.shape(3)}));
  };
  const nn::MaxPool2d pool(2);
  array y = pool(image);
  eval({y});
  EXPECT_EQ(y.shape(), (Shape{1, rows / 2, 2, 16}));
  EXPECT_TRUE(all(equal(end(y, 1), pool(end(image, 2)))).item<bool>());
  y = array();
  image = halves(image);
  array filter = ones({1, 2, 1, 16}, bfloat16);
  y = conv2d(image, filter);
  eval({y});
  EXPECT_EQ(y.shape(), (Shape{1, rows - 1, 4, 1}));
  array want = conv2d(end(image, 2), filter);
  EXPECT_TRUE(all(equal(end(y, 1), want)).item<bool>());
}

TEST_F(LargeArray, AttentionAndPositionsOfManyQueries) {
  constexpr int64_t depth = 64, queries = kCount / depth;
  const array q = halves(
      reshape(slice(x(), {0}, {queries * depth}), {1, 1, queries, depth}));
  auto last = [&](const array& y) {
    return contiguous(slice(y, {0, 0, queries - 1, 0}, {1, 1, queries, depth}));
  };
  array k = random::normal({1, 1, 8, depth}, bfloat16, 0, 1, random::key(1));
  auto attend = [&](const array& q) {
    return fast::scaled_dot_product_attention(q, k, k, 1e-3);
  };
  array y = attend(q);
  eval({y});
  const array got = astype(last(y), float32),
              want = astype(attend(last(q)), float32);
  EXPECT_LT(max(abs(got - want)).item<float>(), 0.02f);
  y = array();
  y = fast::rope(q, depth, false, 10000.0, 1, 0);
  eval({y});
  EXPECT_TRUE(
      all(equal(
              last(y),
              fast::rope(last(q), depth, false, 10000.0, 1, int(queries - 1))))
          .item<bool>());
}

TEST_F(LargeArray, ElementsOfEachRowAreTakenAndPut) {
  array places = full({kRows, 1}, kColumns - 1, uint32);
  array y = take_along_axis(matrix(), places, 1);
  for (int64_t r : {int64_t{0}, kRows - 1})
    EXPECT_EQ(slice(y, {r, 0}, {r + 1, 1}).item<uint8_t>(),
              at(r * kColumns + kColumns - 1));
  y = put_along_axis(matrix(), places, full({kRows, 1}, 255, uint8), 1);
  eval({y});
  EXPECT_EQ(element(reshape(y, {-1}), kCount - 1), 255);
  EXPECT_EQ(element(reshape(y, {-1}), kCount - 2), at(kCount - 2));
  // As many places as elements.
  array table = astype(remainder(arange(256) * 3 + 1, 256), uint8);
  y = take(table, x(), 0);
  eval({y});
  for (int64_t i : kPlaces) EXPECT_EQ(element(y, i), uint8_t(3 * at(i) + 1));
}

TEST_F(LargeArray, SlicesInStepsAreWritten) {
  array y = slice_update(x(), array(uint8_t(255)), {1}, {kCount}, {2});
  eval({y});
  for (int64_t i : kPlaces) EXPECT_EQ(element(y, i), i % 2 ? 255 : at(i)) << i;
}

TEST_F(LargeArray, NumbersInOrderGoOn) {
  array y = arange(0, kCount, 1, uint32);
  eval({y});
  for (int64_t i : kPlaces)
    EXPECT_EQ(slice(y, {i}, {i + 1}).item<uint32_t>(), i);
}

TEST_F(LargeArray, RandomBitsFillAll) {
  array y = random::bits({kCount}, 1, random::key(1));
  eval({y});
  // All 256 values, in the first and in the last million.
  for (int64_t from : {int64_t{0}, kCount - 1'000'000}) {
    std::vector<uint8_t> v =
        slice(y, {from}, {from + 1'000'000}).to_vector<uint8_t>();
    std::vector<int> count(256);
    for (uint8_t b : v) ++count[b];
    for (int c : count) EXPECT_NEAR(c, 1e6 / 256, 400);
  }
}

TEST_F(LargeArray, RowsAreOrderedToTheEnd) {
  constexpr int64_t kLength = 64, rows = kCount / kLength;
  const array m = reshape(slice(x(), {0}, {rows * kLength}), {rows, kLength});
  array y = argsort(m, -1);
  eval({y});
  for (int64_t r : {int64_t{0}, rows / 2, rows - 1}) {
    auto row = [r](const array& a) {
      return contiguous(slice(a, {r, 0}, {r + 1, kLength}));
    };
    EXPECT_TRUE(all(equal(row(y), argsort(row(m), -1))).item<bool>()) << r;
  }
}

// One matrix, or one spectrum, many times over: only the results take memory.
TEST_F(LargeArray, TransformsAndFactorsOfManyRows) {
  auto check = [](const array& one,
                  int64_t size,
                  const std::function<array(const array&)>& f) {
    const int64_t times = kCount / size + 1;
    Shape many = one.shape();
    many.insert(many.begin(), times);
    array y = f(broadcast_to(one, many));
    eval({y});
    const array flat = reshape(y, {times, size}),
                want = reshape(f(one), {1, size});
    for (int64_t r : {int64_t{0}, times / 2, times - 1})
      EXPECT_TRUE(
          all(equal(slice(flat, {r, 0}, {r + 1, size}), want)).item<bool>())
          << r;
  };
  const array wave = astype(remainder(arange(64) * 5, 17), float32);
  check(fft::rfft(wave), 64, [](const array& x) { return fft::irfft(x, 64); });
  const array matrix = eye(16) * 16.0f + ones({16, 16});
  check(matrix, 256, [](const array& x) { return linalg::cholesky(x); });
  check(matrix, 256, [](const array& x) { return linalg::inv(x); });
}

}  // namespace
}  // namespace treadle
