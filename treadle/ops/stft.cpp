// Transforms of overlapping frames of a signal.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/fft.h"
#include "treadle/ops/index.h"
#include "treadle/ops/reinterpret.h"
#include "treadle/ops/views.h"

namespace treadle::fft {

namespace {

int hop_of(const char* op, int n_fft, std::optional<int> hop_length) {
  if (n_fft < 1) {
    invalid(op, fmt::format("got n_fft {}; expected at least 1.", n_fft));
  }
  const int hop = hop_length.value_or(n_fft / 4);
  if (hop < 1) {
    invalid(op,
            fmt::format("got hop_length {} for n_fft {}; expected at least 1.",
                        hop,
                        n_fft));
  }
  return hop;
}

// The window in the middle of n_fft samples; ones of win_length without one.
array window_of(const char* op,
                int n_fft,
                std::optional<int> win_length,
                const std::optional<array>& window,
                StreamOrDevice s) {
  array w = window ? *window : ones({win_length.value_or(n_fft)}, float32, s);
  if (w.ndim() != 1 || w.size() > n_fft || w.size() == 0) {
    invalid(op,
            fmt::format("got a window of shape {}; expected one axis of 1 to "
                        "{} samples.",
                        to_string(w.shape()),
                        n_fft));
  }
  const int64_t missing = n_fft - w.size();
  if (missing == 0) return w;
  return treadle::pad(w, {missing / 2}, {missing - missing / 2}, s);
}

array padded_signal(const char* op,
                    const array& x,
                    int64_t by,
                    const std::string& mode,
                    StreamOrDevice s) {
  Shape around(x.shape().size(), 0);
  around.back() = by;
  if (mode == "constant") return treadle::pad(x, around, around, s);
  if (mode == "edge") return treadle::pad(x, around, around, PadMode::edge, s);
  if (mode == "reflect")
    return treadle::pad(x, around, around, PadMode::reflect, s);
  if (mode == "symmetric")
    return treadle::pad(x, around, around, PadMode::symmetric, s);
  invalid(op,
          fmt::format("got pad_mode '{}'; expected 'reflect', 'constant', "
                      "'edge' or 'symmetric'.",
                      mode));
}

// x (B, frames, N) -> (B, T): frames added up, each `hop` after the one before.
array overlapped(const array& x, int64_t hop, StreamOrDevice s) {
  const int64_t batch = x.shape(0), frames = x.shape(1), n = x.shape(2);
  array at = add(expand_dims(arange(frames, int32, s) * hop, 1, s),
                 arange(n, int32, s),
                 s);
  at = broadcast_to(reshape(at, {1, frames * n}, s), {batch, frames * n}, s);
  return scatter_along_axis(
      zeros({batch, (frames - 1) * hop + n}, x.dtype(), s),
      at,
      reshape(x, {batch, frames * n}, s),
      1,
      ScatterMode::add,
      s);
}

}  // namespace

array stft(const array& x,
           int n_fft,
           std::optional<int> hop_length,
           std::optional<int> win_length,
           const std::optional<array>& window,
           bool center,
           const std::string& pad_mode,
           FFTNorm norm,
           std::optional<bool> onesided,
           StreamOrDevice s) {
  constexpr const char* op = "fft.stft";
  if (x.ndim() == 0) invalid(op, "got a scalar; expected (..., T).");
  const int64_t hop = hop_of(op, n_fft, hop_length);
  const bool half = onesided.value_or(!is_complex(x.dtype()));
  array y = is_complex(x.dtype()) && !half ? x : astype(x, float32, s);
  if (center) y = padded_signal(op, y, n_fft / 2, pad_mode, s);
  const int64_t length = y.shape(-1);
  if (length < n_fft) {
    invalid(op, fmt::format("got {} samples for frames of {}.", length, n_fft));
  }
  // (B, frames, N) as a view.
  const int64_t frames = (length - n_fft) / hop + 1;
  Shape out = y.shape();
  out.pop_back();
  const int64_t batch = size_of(out);
  array views = as_strided(contiguous(y, s),
                           Shape{batch, frames, n_fft},
                           Shape{length, hop, 1},
                           0,
                           s);
  views = multiply(views, window_of(op, n_fft, win_length, window, s), s);
  array f = half ? rfft(views, {}, -1, norm, s) : fft(views, {}, -1, norm, s);
  out.push_back(f.shape(2));
  out.push_back(frames);
  return reshape(swapaxes(f, -1, -2, s), out, s);
}

array istft(const array& x,
            std::optional<int> n_fft,
            std::optional<int> hop_length,
            std::optional<int> win_length,
            const std::optional<array>& window,
            bool center,
            FFTNorm norm,
            std::optional<bool> onesided,
            std::optional<int64_t> length,
            StreamOrDevice s) {
  constexpr const char* op = "fft.istft";
  if (x.ndim() < 2 || x.shape(-1) == 0 || x.shape(-2) == 0) {
    invalid(op,
            fmt::format("got {}; expected (..., F, frames), at least one of "
                        "each.",
                        to_string(x.spec())));
  }
  const bool half = onesided.value_or(true);
  const int64_t bins = x.shape(-2), frames = x.shape(-1);
  const int n = n_fft.value_or(int(half ? 2 * (bins - 1) : bins));
  const int64_t hop = hop_of(op, n, hop_length);
  const array w = window_of(op, n, win_length, window, s);
  Shape out(x.shape().begin(), x.shape().end() - 2);
  const int64_t batch = size_of(out);
  array f = swapaxes(reshape(x, {batch, bins, frames}, s), -1, -2, s);
  array y = half ? irfft(f, n, -1, norm, s) : real(ifft(f, n, -1, norm, s), s);
  y = overlapped(multiply(y, w, s), hop, s);
  array weight = overlapped(
      broadcast_to(square(w, s), {1, frames, int64_t(n)}, s), hop, s);
  // Where no frame has weight the signal is unknown, and 0.
  y = divide(y, maximum(weight, 1e-8, s), s);
  const int64_t total = y.shape(-1), first = center ? n / 2 : 0;
  const int64_t wanted =
      std::max<int64_t>(0, length.value_or(total - 2 * first));
  const int64_t have = std::clamp<int64_t>(total - first, 0, wanted);
  y = slice(y, {0, first}, {batch, first + have}, {}, s);
  y = treadle::pad(y, {0, 0}, {0, wanted - have}, s);
  out.push_back(wanted);
  return reshape(y, out, s);
}

}  // namespace treadle::fft
