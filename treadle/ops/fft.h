// Discrete Fourier transforms. All compute in float32 and complex64: other
// dtypes, float64 among them, are converted, as in MLX.
#pragma once

#include <optional>
#include <string>

#include "treadle/graph/array.h"
#include "treadle/graph/op.h"
#include "treadle/ops/rules.h"

namespace treadle::fft {

// Sums over `axes` of x e^(-2 pi i jk/n), or with + when `inverse`, times
// scale.
//   complex:   complex64 -> complex64, equal shapes
//   from_real: float32 -> complex64; of the last axis in `axes`, of length n,
//   the
//              first n / 2 + 1 results are kept: the others are their
//              conjugates
//   to_real:   complex64 -> float32, with +; the last axis in `axes` has n / 2
//   + 1
//              elements and stands for `length` = n of them
// All are linear, and each other's transposes.
struct Fft : OpBase<Fft> {
  static constexpr std::string_view op_name = "fft";
  enum class Kind : uint8_t { complex, from_real, to_real };
  Kind kind = Kind::complex;
  bool inverse = false;
  Axes axes;  // not negative, none twice, at least one
  double scale = 1;
  int64_t length = 0;
  auto fields() const { return std::tie(kind, inverse, axes); }
  auto sizes() const { return std::tie(scale, length); }
  TREADLE_RULES
};

// With N the product of the lengths: backward divides the inverse by N, forward
// the transform itself, ortho both by sqrt(N).
enum class FFTNorm : uint8_t { Backward, Ortho, Forward };
// From "backward", "ortho" or "forward"; `op` names the caller in the error.
FFTNorm norm_of(std::string_view op, const std::string& name);

// Each of the four kinds, over one axis, two, or several. n gives lengths along
// the axes: x is cut or filled with zeros to them. Throws std::invalid_argument
// for lengths below 1.
//   fft, ifft:   any x -> complex64
//   rfft, irfft: real x -> the first n / 2 + 1 of complex64 along the last of
//                the axes, and back; irfft's n is 2 (length - 1) by default
#define TREADLE_FFT(name)                                       \
  array name##n(const array& a,                                 \
                const std::optional<Shape>& n = {},             \
                const std::optional<Axes>& axes = {},           \
                FFTNorm norm = FFTNorm::Backward,               \
                StreamOrDevice s = {});                         \
  array name##2(const array& a,                                 \
                const std::optional<Shape>& n = {},             \
                const std::optional<Axes>& axes = Axes{-2, -1}, \
                FFTNorm norm = FFTNorm::Backward,               \
                StreamOrDevice s = {});                         \
  array name(const array& a,                                    \
             std::optional<int64_t> n = {},                     \
             int axis = -1,                                     \
             FFTNorm norm = FFTNorm::Backward,                  \
             StreamOrDevice s = {});
TREADLE_FFT(fft)
TREADLE_FFT(ifft)
TREADLE_FFT(rfft)
TREADLE_FFT(irfft)
#undef TREADLE_FFT

// Of x with Hermitian symmetry, given by its first half, to a real spectrum of
// n = 2 (length - 1) by default; and back.
array hfft(const array& a,
           std::optional<int64_t> n = {},
           int axis = -1,
           FFTNorm norm = FFTNorm::Backward,
           StreamOrDevice s = {});
array ihfft(const array& a,
            std::optional<int64_t> n = {},
            int axis = -1,
            FFTNorm norm = FFTNorm::Backward,
            StreamOrDevice s = {});

// The frequencies of the results, in cycles per unit of d, the distance of the
// samples: float32, of fft (n) and of rfft (n / 2 + 1).
array fftfreq(int n, double d = 1, StreamOrDevice s = {});
array rfftfreq(int n, double d = 1, StreamOrDevice s = {});
// Moves frequency 0 to the middle of the axes (all by default), and back.
array fftshift(const array& a,
               const std::optional<Axes>& axes = {},
               StreamOrDevice s = {});
array ifftshift(const array& a,
                const std::optional<Axes>& axes = {},
                StreamOrDevice s = {});

// Transforms of overlapping frames: x (..., T) -> complex64 (..., F, frames).
// Frames of n_fft samples begin hop_length (n_fft / 4) apart and are multiplied
// by the window of win_length (n_fft) samples, ones by default, with zeros
// around up to n_fft. center pads n_fft / 2 samples in front and behind, by
// pad_mode "reflect", "constant" or "edge". onesided keeps the first n_fft / 2
// + 1 frequencies: by default for real x.
array stft(const array& x,
           int n_fft = 2048,
           std::optional<int> hop_length = {},
           std::optional<int> win_length = {},
           const std::optional<array>& window = {},
           bool center = true,
           const std::string& pad_mode = "reflect",
           FFTNorm norm = FFTNorm::Backward,
           std::optional<bool> onesided = {},
           StreamOrDevice s = {});
// The signal (..., T), float32, whose stft x (..., F, frames) is: frames times
// the window added up, over the sum of the squared windows. n_fft is 2 (F - 1),
// or F when not onesided (the default is onesided); `length` cuts the result or
// fills it with zeros.
array istft(const array& x,
            std::optional<int> n_fft = {},
            std::optional<int> hop_length = {},
            std::optional<int> win_length = {},
            const std::optional<array>& window = {},
            bool center = true,
            FFTNorm norm = FFTNorm::Backward,
            std::optional<bool> onesided = {},
            std::optional<int64_t> length = {},
            StreamOrDevice s = {});

}  // namespace treadle::fft
