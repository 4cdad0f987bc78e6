// What attention, the norms, rotary positions and cross-entropy say about wrong
// arguments, word for word.
#include <functional>

#include <gtest/gtest.h>

#include "treadle/treadle.h"

namespace treadle {
namespace {

std::string bad(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::invalid_argument& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another type of exception: ") + e.what();
  }
  return "nothing was thrown";
}

TEST(FastMessage, Norms) {
  EXPECT_EQ(bad([] { fast::rms_norm(array(1.0f), {}, 1e-5); }),
            "[rms_norm] the input is float32 (); expected at least one axis.");
  EXPECT_EQ(bad([] {
              fast::rms_norm(ones({2, 4}), ones({3}), 1e-5);
            }),
            "[rms_norm] the weight is float32 (3,); expected one number for "
            "each element of the last axis of the input, (4,).");
  EXPECT_EQ(bad([] {
              fast::layer_norm(ones({2, 4}), {}, ones({1, 4}), 1e-5);
            }),
            "[layer_norm] the bias is float32 (1, 4); expected one number for "
            "each element of the last axis of the input, (4,).");
  EXPECT_EQ(bad([] {
              fast::layer_norm(ones({2, 4}, int32), {}, {}, 1e-5);
            }),
            "[layer_norm] the result would be int32; expected a floating "
            "dtype.");
}

array rotated(const array& x,
              int dims,
              std::optional<double> base,
              const array& offset,
              const array& freqs = {}) {
  return fast::rope(x, dims, false, base, 1.0, offset, freqs);
}

TEST(FastMessage, Rope) {
  const array x = ones({2, 3, 8}), zero = array(0);
  EXPECT_EQ(bad([&] {
              rotated(ones({2, 8}), 8, 100.0, zero);
            }),
            "[rope] the input is float32 (2, 8); expected at least three axes, "
            "(B, ..., T, D).");
  EXPECT_EQ(bad([&] { rotated(astype(x, int32), 8, 100.0, zero); }),
            "[rope] the input is int32 (2, 3, 8); expected a floating dtype.");
  EXPECT_EQ(bad([&] { rotated(x, 5, 100.0, zero); }),
            "[rope] dims is 5; expected an even number in (0, 8].");
  EXPECT_EQ(bad([&] { rotated(x, 10, 100.0, zero); }),
            "[rope] dims is 10; expected an even number in (0, 8].");
  EXPECT_EQ(bad([&] {
              rotated(x, 8, 100.0, array({1, 2, 3}));
            }),
            "[rope] the offset is int32 (3,); expected an integer or one for "
            "each example, (2,).");
  EXPECT_EQ(bad([&] { rotated(x, 8, 100.0, array(1.5f)); }),
            "[rope] the offset is float32 (); expected an integer or one for "
            "each example, (2,).");
  EXPECT_EQ(bad([&] { rotated(x, 8, {}, zero); }),
            "[rope] got neither base nor freqs; expected one of them.");
  EXPECT_EQ(bad([&] { rotated(x, 8, 100.0, zero, ones({4})); }),
            "[rope] got base and freqs; expected one of them.");
  EXPECT_EQ(bad([&] { rotated(x, 8, {}, zero, ones({3})); }),
            "[rope] the freqs are float32 (3,); expected one for each pair, "
            "(4,).");
}

array attended(const array& q,
               const array& k,
               const array& v,
               std::string_view mode = "",
               const array& mask = {},
               const array& sinks = {}) {
  return fast::scaled_dot_product_attention(q, k, v, 1.0, mode, mask, sinks);
}

TEST(FastMessage, AttentionShapes) {
  const array q = ones({1, 4, 3, 8}), k = ones({1, 2, 5, 8});
  const std::string head = "[scaled_dot_product_attention] ",
                    tail =
                        "; expected (B, H, Tq, D), (B, Hk, Tk, D), (B, Hk, "
                        "Tk, Dv) with H a multiple of Hk.";
  EXPECT_EQ(bad([&] {
              attended(ones({4, 3, 8}), k, k);
            }),
            head +
                "an input has not four axes: got q (4, 3, 8), k (1, 2, 5, "
                "8), v (1, 2, 5, 8)" +
                tail);
  EXPECT_EQ(bad([&] {
              attended(q, ones({2, 2, 5, 8}), k);
            }),
            head +
                "the batches differ: got q (1, 4, 3, 8), k (2, 2, 5, 8), v "
                "(1, 2, 5, 8)" +
                tail);
  EXPECT_EQ(bad([&] {
              attended(q, ones({1, 2, 5, 4}), k);
            }),
            head +
                "queries and keys have other sizes: got q (1, 4, 3, 8), k "
                "(1, 2, 5, 4), v (1, 2, 5, 8)" +
                tail);
  EXPECT_EQ(bad([&] {
              attended(q, k, ones({1, 1, 5, 8}));
            }),
            head +
                "keys and values have other heads: got q (1, 4, 3, 8), k "
                "(1, 2, 5, 8), v (1, 1, 5, 8)" +
                tail);
  EXPECT_EQ(bad([&] {
              attended(q, k, ones({1, 2, 4, 8}));
            }),
            head +
                "keys and values have other lengths: got q (1, 4, 3, 8), k "
                "(1, 2, 5, 8), v (1, 2, 4, 8)" +
                tail);
  EXPECT_EQ(bad([&] {
              attended(ones({1, 3, 3, 8}), k, k);
            }),
            head +
                "the heads do not divide: got q (1, 3, 3, 8), k (1, 2, 5, "
                "8), v (1, 2, 5, 8)" +
                tail);
}

TEST(FastMessage, AttentionMasksAndSinks) {
  const array q = ones({1, 4, 3, 8}), k = ones({1, 2, 5, 8});
  const array h = astype(q, float16), l = astype(k, float16);
  const std::string head = "[scaled_dot_product_attention] ";
  EXPECT_EQ(bad([&] { attended(q, k, k, "full"); }),
            head + "the mask is 'full'; expected 'causal' or an array.");
  EXPECT_EQ(bad([&] {
              attended(q, k, k, "causal", ones({3, 5}));
            }),
            head + "got 'causal' and a mask; expected one of them.");
  EXPECT_EQ(bad([&] { attended(q, k, k, "array"); }),
            head + "got no mask; expected an array.");
  EXPECT_EQ(bad([&] {
              attended(q, k, k, "", ones({1, 1, 1, 3, 5}));
            }),
            head +
                "the mask is float32 (1, 1, 1, 3, 5); expected a shape that "
                "broadcasts to (1, 4, 3, 5).");
  EXPECT_EQ(bad([&] {
              attended(q, k, k, "", ones({2, 1, 3, 5}));
            }),
            head +
                "the mask is float32 (2, 1, 3, 5); expected a shape that "
                "broadcasts to (1, 4, 3, 5).");
  EXPECT_EQ(bad([&] {
              attended(h, l, l, "", ones({3, 5}));
            }),
            head +
                "the mask's elements are float32 (3, 5); expected a dtype "
                "that promotes to the result's, float16.");
  EXPECT_EQ(bad([&] { attended(h, l, l, "", {}, ones({4})); }),
            head +
                "the sinks are float32 (4,); expected a dtype that promotes "
                "to the result's, float16.");
  EXPECT_EQ(bad([&] { attended(q, k, k, "", {}, ones({2})); }),
            head +
                "the sinks are float32 (2,); expected one for each head, "
                "(4,).");
  EXPECT_EQ(bad([&] {
              const array i = ones({1, 2, 3, 8}, int32);
              attended(i, i, i);
            }),
            head + "the result would be int32; expected a floating dtype.");
}

TEST(FastMessage, CrossEntropy) {
  EXPECT_EQ(bad([] { fast::cross_entropy(array(1.0f), array(0)); }),
            "[cross_entropy] the logits are float32 (); expected (..., C) of a "
            "floating dtype.");
  EXPECT_EQ(bad([] {
              fast::cross_entropy(ones({2, 3}), array({0, 1, 2}));
            }),
            "[cross_entropy] the targets are int32 (3,) and the logits float32 "
            "(2, 3); expected class numbers (2,) of an integer dtype.");
  EXPECT_EQ(bad([] {
              fast::cross_entropy(ones({2, 3}), array({0, 1}), 1);
            }),
            "[cross_entropy] label_smoothing is 1; expected [0, 1).");
  EXPECT_EQ(bad([] {
              fast::cross_entropy(ones({2, 0}), array({0, 1}));
            }),
            "[cross_entropy] the logits are float32 (2, 0); expected at least "
            "one class.");
}

}  // namespace
}  // namespace treadle
