#include "treadle/backend/cpu/sort.h"

#include <cmath>

#include "treadle/backend/cpu/ref/sort.h"
#include "treadle/ops/sort.h"

#include "tests/backend/kernel_fixture.h"

namespace treadle::kernel_test {

namespace {

using namespace backend::cpu;

// Rows that are short, few and long, many, empty; 262,147 is cut into parts.
const Shape kShapes[] = {{1},
                         {7},
                         {24},
                         {25},
                         {5, 300},
                         {2000, 3},
                         {262'147},
                         {2, 140'000},
                         {0},
                         {3, 0}};

TEST(Sort, IsTheReferenceForAllDtypesAndNumbersOfThreads) {
  for (Dtype dtype : kAllDtypes) {
    if (is_complex(dtype)) continue;
    for (const Shape& shape : kShapes) {
      expect_same(sort(), ref_sort(), Sort(), {Tensor::numbers(dtype, shape)});
    }
  }
}

TEST(ArgSort, IsTheStableReferenceForAllDtypesAndNumbersOfThreads) {
  for (Dtype dtype : kAllDtypes) {
    if (is_complex(dtype)) continue;
    for (const Shape& shape : kShapes) {
      expect_same(
          argsort(), ref_argsort(), ArgSort(), {Tensor::numbers(dtype, shape)});
    }
  }
}

TEST(ArgPartition, IsTheReferenceForAllDtypesAndNumbersOfThreads) {
  for (Dtype dtype : kAllDtypes) {
    if (is_complex(dtype)) continue;
    for (const Shape& shape : kShapes) {
      const int64_t n = shape.back();
      for (int64_t kth : {int64_t{0}, n / 3, n - 1}) {
        ArgPartition op;
        op.kth = kth;
        if (kth == n / 3 || (n > 0 && n < 1000))
          expect_same(argpartition(),
                      ref_argpartition(),
                      op,
                      {Tensor::numbers(dtype, shape)});
      }
    }
  }
}

// Extremes of every type, NaN of both signs, zeros of both signs.
template <class T>
std::vector<T> extremes() {
  using L = std::numeric_limits<T>;
  std::vector<T> v{T(3), L::max(), L::lowest(), T(0), L::min(), T(1)};
  if constexpr (std::is_floating_point_v<T>) {
    v.insert(v.end(),
             {L::quiet_NaN(),
              L::infinity(),
              T(-0.0),
              -L::quiet_NaN(),
              -L::infinity(),
              L::denorm_min(),
              -L::denorm_min(),
              T(0),
              T(-1)});
  }
  // Enough of them for the vectorized sort.
  std::vector<T> all;
  for (int i = 0; i < 5; ++i) all.insert(all.end(), v.begin(), v.end());
  return all;
}

template <class T>
void check_extremes() {
  std::vector<T> v = extremes<T>();
  Tensor x = Tensor::of(v, {int64_t(v.size())});
  std::vector<uint32_t> order =
      run(argsort(), ArgSort(), {x})[0].template values<uint32_t>();
  EXPECT_EQ(order,
            run(ref_argsort(), ArgSort(), {x})[0].template values<uint32_t>());
  for (int64_t kth : {1, 20, int(v.size()) - 3}) {
    ArgPartition op;
    op.kth = kth;
    EXPECT_EQ(run(argpartition(), op, {x})[0].template values<uint32_t>(),
              run(ref_argpartition(), op, {x})[0].template values<uint32_t>());
  }
  std::vector<T> y = run(sort(), Sort(), {x})[0].template values<T>();
  std::vector<T> want = run(ref_sort(), Sort(), {x})[0].template values<T>();
  for (size_t i = 0; i < v.size(); ++i) {
    EXPECT_TRUE(y[i] == want[i] || (y[i] != y[i] && want[i] != want[i])) << i;
  }
}

TEST(Sort, PutsNanLastAndKeepsExtremes) {
  check_extremes<float>();
  check_extremes<double>();
  check_extremes<int32_t>();
  check_extremes<uint32_t>();
  check_extremes<int64_t>();
  check_extremes<uint64_t>();
  check_extremes<int16_t>();
  check_extremes<int8_t>();
}

TEST(Sort, HalvesPutNanLast) {
  for (Dtype dtype : {float16, bfloat16}) {
    std::vector<float> v;
    for (int i = 0; i < 40; ++i)
      v.push_back(i % 7 == 3 ? NAN : i % 5 == 2 ? -INFINITY : float(20 - i));
    Tensor wide = Tensor::of(v, {40}), x = Tensor::empty(dtype, {40});
    copy_strided(wide.x, x.x);
    EXPECT_EQ(run(argsort(), ArgSort(), {x})[0].values<uint32_t>(),
              run(ref_argsort(), ArgSort(), {x})[0].values<uint32_t>());
    std::vector<float> y = run(sort(), Sort(), {x})[0].values<float>();
    for (size_t i = 0; i + 1 < 34; ++i) EXPECT_LE(y[i], y[i + 1]);
    for (size_t i = 34; i < 40; ++i) EXPECT_TRUE(std::isnan(y[i]));
  }
}

TEST(SearchSorted, IsTheReference) {
  for (Dtype dtype : kAllDtypes) {
    for (int64_t n : {0, 1, 2, 100, 1001}) {
      Tensor x = run(ref_sort(), Sort(), {Tensor::numbers(dtype, {n}, 3)})[0];
      for (bool right : {false, true}) {
        SearchSorted op;
        op.right = right;
        expect_same(searchsorted(),
                    ref_searchsorted(),
                    op,
                    {x, Tensor::numbers(dtype, {41, 49})});
      }
    }
  }
}

}  // namespace
}  // namespace treadle::kernel_test
