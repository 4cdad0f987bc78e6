// Shared by the tests of nn: filling arrays by formula, comparing with stored
// numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "treadle/graph/array.h"

namespace treadle::test {

// The `fill` of tests/cases/make_nn_cases.py: values in (-scale, scale).
inline array fill(const Shape& shape, int seed, double scale = 1) {
  std::vector<float> v(static_cast<size_t>(size_of(shape)));
  for (size_t i = 0; i < v.size(); ++i) {
    v[i] = float((double((37 * i + 11 * size_t(seed) + 5) % 101) / 50.5 - 1) *
                 scale);
  }
  return array::from(v.data(), shape);
}

// Equal within `tolerance` times the size of the value (at least 1).
inline void expect_values(const array& got,
                          const std::vector<double>& expected,
                          double tolerance = 1e-6) {
  std::vector<double> v = got.to_vector<double>();
  ASSERT_EQ(v.size(), expected.size());
  for (size_t i = 0; i < v.size(); ++i) {
    EXPECT_NEAR(
        v[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i])))
        << "element " << i;
  }
}

// Runs f and returns the message of what it throws, "" when it throws nothing.
template <class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

}  // namespace treadle::test
