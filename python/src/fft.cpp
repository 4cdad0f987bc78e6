// treadle.core.fft.
#include "treadle/ops/fft.h"

#include <string>

#include "array.h"
#include "bindings.h"

namespace treadle::python {

namespace {

using S = StreamOrDevice;
using Lengths = std::optional<IntOrShape>;
using Over = std::optional<AxisOrAxes>;

std::optional<Shape> shape_of(const Lengths& n) {
  return n ? std::optional<Shape>(n->shape) : std::nullopt;
}
std::optional<Axes> axes_of(const Over& axes) {
  return axes ? std::optional<Axes>(axes->axes) : std::nullopt;
}

using One =
    array (*)(const array&, std::optional<int64_t>, int, fft::FFTNorm, S);
using Several = array (*)(const array&,
                          const std::optional<Shape>&,
                          const std::optional<Axes>&,
                          fft::FFTNorm,
                          S);

void bind_one(nb::module_& m, const std::string& name, One f, const char* doc) {
  m.def(
      name.c_str(),
      [f, op = "fft." + name](const array& a,
                              std::optional<int64_t> n,
                              int axis,
                              const std::string& norm,
                              const S& s) {
        return wrap(f(a, n, axis, fft::norm_of(op, norm), s));
      },
      nb::arg("a"),
      nb::arg("n") = nb::none(),
      nb::arg("axis") = -1,
      nb::arg("norm") = "backward",
      nb::arg("stream") = nb::none(),
      doc);
}

void bind_several(nb::module_& m,
                  const std::string& name,
                  Several f,
                  const nb::object& axes,
                  const char* doc) {
  m.def(
      name.c_str(),
      [f, op = "fft." + name](const array& a,
                              const Lengths& n,
                              const Over& over,
                              const std::string& norm,
                              const S& s) {
        return wrap(
            f(a, shape_of(n), axes_of(over), fft::norm_of(op, norm), s));
      },
      nb::arg("a"),
      nb::arg("s") = nb::none(),
      nb::arg("axes") = axes,
      nb::arg("norm") = "backward",
      nb::arg("stream") = nb::none(),
      doc);
}

void bind_family(nb::module_& m,
                 const std::string& name,
                 One one,
                 Several two,
                 Several several,
                 const char* doc) {
  nb::list last_two;
  last_two.append(-2);
  last_two.append(-1);
  bind_one(m, name, one, doc);
  bind_several(m, name + "2", two, last_two, doc);
  bind_several(m, name + "n", several, nb::none(), doc);
}

void bind_shift(nb::module_& m,
                const char* name,
                array (*f)(const array&, const std::optional<Axes>&, S),
                const char* doc) {
  m.def(
      name,
      [f](const array& a, const Over& axes, const S& s) {
        return wrap(f(a, axes_of(axes), s));
      },
      nb::arg("a"),
      nb::arg("axes") = nb::none(),
      nb::arg("stream") = nb::none(),
      doc);
}

void bind_frequencies(nb::module_& m,
                      const char* name,
                      array (*f)(int, double, S),
                      const char* doc) {
  m.def(
      name,
      [f](int n, double d, const S& s) { return wrap(f(n, d, s)); },
      nb::arg("n"),
      nb::arg("d") = 1.0,
      nb::arg("stream") = nb::none(),
      doc);
}

void bind_frames(nb::module_& m) {
  m.def(
      "stft",
      [](const array& x,
         int n_fft,
         std::optional<int> hop_length,
         std::optional<int> win_length,
         const std::optional<array>& window,
         bool center,
         const std::string& pad_mode,
         const std::string& norm,
         std::optional<bool> onesided,
         const S& s) {
        return wrap(fft::stft(x,
                              n_fft,
                              hop_length,
                              win_length,
                              window,
                              center,
                              pad_mode,
                              fft::norm_of("fft.stft", norm),
                              onesided,
                              s));
      },
      nb::arg("x"),
      nb::arg("n_fft") = 2048,
      nb::arg("hop_length") = nb::none(),
      nb::arg("win_length") = nb::none(),
      nb::arg("window") = nb::none(),
      nb::arg("center") = true,
      nb::arg("pad_mode") = "reflect",
      nb::arg("norm") = "backward",
      nb::arg("onesided") = nb::none(),
      nb::arg("stream") = nb::none(),
      "Transforms of overlapping frames: x (..., T) -> complex64 (..., F, "
      "frames). Frames of n_fft samples begin hop_length (n_fft // 4) apart "
      "and "
      "are multiplied by the window, which is centered; center pads n_fft // 2 "
      "samples in front and behind by pad_mode 'reflect', 'constant' or "
      "'edge'. onesided, the default for real x, keeps the first n_fft // 2 + "
      "1 "
      "frequencies.");
  m.def(
      "istft",
      [](const array& x,
         std::optional<int> n_fft,
         std::optional<int> hop_length,
         std::optional<int> win_length,
         const std::optional<array>& window,
         bool center,
         const std::string& norm,
         std::optional<bool> onesided,
         std::optional<int64_t> length,
         const S& s) {
        return wrap(fft::istft(x,
                               n_fft,
                               hop_length,
                               win_length,
                               window,
                               center,
                               fft::norm_of("fft.istft", norm),
                               onesided,
                               length,
                               s));
      },
      nb::arg("stft_matrix"),
      nb::arg("n_fft") = nb::none(),
      nb::arg("hop_length") = nb::none(),
      nb::arg("win_length") = nb::none(),
      nb::arg("window") = nb::none(),
      nb::arg("center") = true,
      nb::arg("norm") = "backward",
      nb::arg("onesided") = nb::none(),
      nb::arg("length") = nb::none(),
      nb::arg("stream") = nb::none(),
      "The signal (..., T) whose stft is given (..., F, frames): frames times "
      "the window added up, over the sum of the squared windows; `length` cuts "
      "it or fills it with zeros.");
}

}  // namespace

void bind_fft(nb::module_& core) {
  nb::module_ m = core.def_submodule("fft", "Discrete Fourier transforms.");
  bind_family(
      m,
      "fft",
      &fft::fft,
      &fft::fft2,
      &fft::fftn,
      "The discrete Fourier transform over axes, complex64. Lengths cut "
      "x or fill it with zeros; norm is 'backward' (the inverse is "
      "divided by the number of elements), 'ortho' or 'forward'.");
  bind_family(
      m, "ifft", &fft::ifft, &fft::ifft2, &fft::ifftn, "The inverse of fft.");
  bind_family(
      m,
      "rfft",
      &fft::rfft,
      &fft::rfft2,
      &fft::rfftn,
      "The transform of real x: of the last of the axes the first n // 2 "
      "+ 1 results, the others being their conjugates.");
  bind_family(
      m,
      "irfft",
      &fft::irfft,
      &fft::irfft2,
      &fft::irfftn,
      "The inverse of rfft, float32. The last of the axes has n // 2 + 1 "
      "elements; n is 2 (length - 1) by default.");
  bind_one(
      m,
      "hfft",
      &fft::hfft,
      "The real spectrum of x with Hermitian symmetry, given by its first n // "
      "2 + 1 elements.");
  bind_one(m, "ihfft", &fft::ihfft, "The inverse of hfft.");
  bind_frequencies(m,
                   "fftfreq",
                   &fft::fftfreq,
                   "The frequencies of fft's n results, in cycles per unit of "
                   "the distance d of the samples.");
  bind_frequencies(m,
                   "rfftfreq",
                   &fft::rfftfreq,
                   "The frequencies of rfft's n // 2 + 1 results.");
  bind_shift(m,
             "fftshift",
             &fft::fftshift,
             "Moves frequency 0 to the middle of the axes, all by default.");
  bind_shift(m, "ifftshift", &fft::ifftshift, "The inverse of fftshift.");
  bind_frames(m);
}

}  // namespace treadle::python
