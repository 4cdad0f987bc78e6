// What einsum and the Fourier transforms say about arguments that do not fit,
// word for word.
#include <functional>

#include <gtest/gtest.h>

#include "treadle/treadle.h"

namespace treadle {
namespace {

std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "nothing was thrown";
}

TEST(EinsumMessage, SubscriptsThatDoNotFit) {
  const array x = ones({2, 3});
  EXPECT_EQ(message([&] { einsum("ij,jk", {x}); }),
            "[einsum] 'ij,jk': got 1 operands for 2 lists of subscripts.");
  EXPECT_EQ(message([&] { einsum("ijk", {x}); }),
            "[einsum] 'ijk': 3 subscripts for operand 0, float32 (2, 3).");
  EXPECT_EQ(message([&] {
              einsum("ij,jk", {x, x});
            }),
            "[einsum] 'ij,jk': 'j' has length 2 in operand 1, but 3 before; "
            "expected equal lengths or 1.");
  EXPECT_EQ(message([&] { einsum_path("ij->k", {x}); }),
            "[einsum_path] 'ij->k': the result has 'k', which no operand has.");
  EXPECT_EQ(
      message([&] { einsum("ij->i->j", {x}); }),
      "[einsum] 'ij->i->j': got '-'; expected letters, '...', ',' and one "
      "'->'.");
}

TEST(FftMessage, LengthsAxesAndNorms) {
  const array x = ones({2, 3});
  EXPECT_EQ(message([&] { fft::fft(x, 0); }),
            "[fft.fft] got length 0 on axis 1 of (2, 3); expected at least 1.");
  EXPECT_EQ(message([&] { fft::irfft(ones({1})); }),
            "[fft.irfft] got length 0 on axis 0 of (1,); expected at least 1.");
  EXPECT_EQ(message([&] {
              fft::fftn(x, {}, Axes{1, -1});
            }),
            "[fft.fftn] axis 1 is given twice.");
  EXPECT_EQ(message([&] { fft::rfft2(x, Shape{4}); }),
            "[fft.rfft2] got 1 lengths for 2 axes.");
  EXPECT_EQ(message([&] { fft::fftn(array(1.f)); }),
            "[fft.fftn] got a scalar; expected at least one axis.");
  EXPECT_EQ(message([&] { fft::norm_of("fft.fft", "best"); }),
            "[fft.fft] got norm 'best'; expected 'backward', 'ortho' or "
            "'forward'.");
  EXPECT_EQ(
      message([&] { fft::fftfreq(0); }),
      "[fft.fftfreq] got n = 0 and d = 1; expected n at least 1 and d not "
      "0.");
  EXPECT_EQ(message([&] { fft::stft(ones({8}), 8, 0); }),
            "[fft.stft] got hop_length 0 for n_fft 8; expected at least 1.");
  EXPECT_EQ(
      message([&] { fft::stft(ones({8}), 4, {}, 5); }),
      "[fft.stft] got a window of shape (5,); expected one axis of 1 to 4 "
      "samples.");
  EXPECT_EQ(message([&] { fft::istft(ones({8})); }),
            "[fft.istft] got float32 (8,); expected (..., F, frames), at least "
            "one of each.");
}

}  // namespace
}  // namespace treadle
