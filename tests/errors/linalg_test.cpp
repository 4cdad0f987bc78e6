// What linear algebra says about matrices that it does not take or that have no
// result, word for word.
#include <functional>

#include <gtest/gtest.h>

#include "treadle/treadle.h"

namespace treadle {
namespace {

std::string message(const std::function<array()>& f) {
  try {
    f().eval();
  } catch (const std::invalid_argument& e) {
    return std::string("invalid: ") + e.what();
  } catch (const std::runtime_error& e) {
    return std::string("failed: ") + e.what();
  }
  return "nothing was thrown";
}

TEST(LinalgMessage, ShapesAndDtypes) {
  EXPECT_EQ(message([] { return linalg::qr(ones({3})).first; }),
            "invalid: [linalg.qr] got float32 (3,); expected matrices (..., M, "
            "N) of float32 or float64.");
  EXPECT_EQ(
      message([] {
        return linalg::inv(ones({2, 3}));
      }),
      "invalid: [linalg.inv] got float32 (2, 3); expected square matrices "
      "(..., N, N) of float32 or float64.");
  EXPECT_EQ(
      message([] {
        return linalg::eigvals(ones({2, 2}, float16));
      }),
      "invalid: [linalg.eig] got float16 (2, 2); expected square matrices "
      "(..., N, N) of float32, float64 or complex64.");
  EXPECT_EQ(message([] { return linalg::solve(eye(2), ones({3})); }),
            "invalid: [linalg.solve] lengths differ: got float32 (2, 2) and "
            "float32 (3,); expected (..., N, N) and (N,) or (..., N, K), "
            "float32 or float64.");
  EXPECT_EQ(message([] { return linalg::eigh(eye(2), "lower").first; }),
            "invalid: [linalg.eigh] got UPLO 'lower'; expected 'L' or 'U'.");
  EXPECT_EQ(message([] { return linalg::cross(ones({4}), ones({3})); }),
            "invalid: [linalg.cross] got shapes (4,) and (3,); expected length "
            "2 or 3 on axis -1.");
  EXPECT_EQ(message([] {
              return linalg::norm(ones({2, 2}), 3);
            }),
            "invalid: [linalg.norm] order 3 of a matrix is not supported; "
            "expected 1, -1, 2, -2, inf or -inf.");
  EXPECT_EQ(message([] { return linalg::norm(ones({2}), "nuc"); }),
            "invalid: [linalg.norm] order 'nuc' over 1 axes is not supported; "
            "expected 'fro', 'f' or 'nuc' over two different ones.");
}

TEST(LinalgMessage, MatricesWithoutResult) {
  EXPECT_EQ(message([] {
              return linalg::inv(zeros({2, 2}));
            }),
            "failed: [linalg.inv] the matrix is singular.");
  EXPECT_EQ(message([] {
              return linalg::inv(stack({eye(2), zeros({2, 2})}));
            }),
            "failed: [linalg.inv] the matrix (number 1 of 2) is singular.");
  EXPECT_EQ(message([] {
              return linalg::tri_inv(zeros({2, 2}));
            }),
            "failed: [linalg.tri_inv] the matrix is singular.");
  EXPECT_EQ(message([] {
              return linalg::solve(zeros({2, 2}), ones({2}));
            }),
            "failed: [linalg.solve] the matrix is singular.");
  EXPECT_EQ(message([] {
              return linalg::solve_triangular(zeros({2, 2}), ones({2}));
            }),
            "failed: [linalg.solve_triangular] the matrix is singular.");
  EXPECT_EQ(message([] { return linalg::cholesky(-eye(2)); }),
            "failed: [linalg.cholesky] the matrix is not positive definite.");
  EXPECT_EQ(
      message([] {
        return linalg::svd(full({2, 2}, NAN), false)[0];
      }),
      "failed: [linalg.svd] the matrix holds NaN or an infinity; expected "
      "finite numbers.");
}

}  // namespace
}  // namespace treadle
