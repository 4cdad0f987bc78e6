#include "treadle/optimizers/clip.h"

#include <cmath>

#include <gtest/gtest.h>

#include "treadle/ops/create.h"
#include "treadle/ops/views.h"

namespace treadle::optimizers {
namespace {

Tree gradients(Dtype dtype = float32) {
  return Tree::map({{"a", Tree(astype(array({3.0f, 0.0f}), dtype))},
                    {"b", Tree(astype(array({-4.0f}), dtype))}});
}

TEST(ClipGradNorm, ScalesWhatIsTooLong) {
  auto [grads, norm] = clip_grad_norm(gradients(), 1);
  EXPECT_FLOAT_EQ(norm.item<float>(), 5);
  EXPECT_NEAR(grads.at("a").leaf().to_vector<float>()[0], 0.6, 1e-6);
  EXPECT_NEAR(grads.at("b").leaf().item<float>(), -0.8, 1e-6);
}

TEST(ClipGradNorm, LeavesShortGradientsAlone) {
  Tree grads = clip_grad_norm(gradients(), 6);  // taken for the gradients
  EXPECT_EQ(grads.at("b").leaf().item<float>(), -4);
}

TEST(ClipGradNorm, KeepsHalfPrecisionAndDoesNotOverflowInIt) {
  Tree big = Tree::map({{"a", Tree(full({4}, 300, float16))}});
  auto [grads, norm] = clip_grad_norm(big, 1);
  EXPECT_EQ(norm.dtype(), float32);
  EXPECT_FLOAT_EQ(norm.item<float>(), 600);
  EXPECT_EQ(grads.at("a").leaf().dtype(), float16);
  EXPECT_NEAR(grads.at("a").leaf().to_vector<float>()[0], 0.5, 3e-4);
}

TEST(ClipGradNorm, TakesNoGradientsAndRefusesNegativeNorms) {
  EXPECT_EQ(clip_grad_norm(Tree::map(), 1).norm.item<float>(), 0);
  EXPECT_THROW(clip_grad_norm(gradients(), -1), std::invalid_argument);
  EXPECT_THROW(clip_grad_norm(gradients(), std::nan("")),
               std::invalid_argument);
}

}  // namespace
}  // namespace treadle::optimizers
