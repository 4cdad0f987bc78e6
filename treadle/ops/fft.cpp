#include "treadle/ops/fft.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/record.h"
#include "treadle/ops/arrange.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle::fft {

namespace {

using Kind = Fft::Kind;

// What counts of the kept half of n results when it stands for all: the first
// (and the middle one of an even n) once, the others `others` times. Along
// axis.
array half_weights(int64_t n, size_t axis, size_t ndim, double others) {
  const int64_t half = n / 2 + 1;
  array k = arange(half, int32);
  array once = equal(k, 0);
  if (n % 2 == 0) once = logical_or(once, equal(k, n / 2));
  Shape shape(ndim, 1);
  shape[axis] = half;
  return reshape(astype(select(once, 1., others), float32), shape);
}

}  // namespace

Specs Fft::infer(std::span<const Spec> in) const {
  const Dtype from = kind == Kind::from_real ? float32 : complex64;
  Spec out{in[0].shape, kind == Kind::to_real ? float32 : complex64};
  int64_t& last = out.shape[size_t(axes.back())];
  if (in[0].dtype != from ||
      (kind == Kind::to_real && last != length / 2 + 1)) {
    invalid(op_name,
            fmt::format("got {}; expected {}{}.",
                        treadle::to_string(in[0]),
                        treadle::name_of(from),
                        kind == Kind::to_real
                            ? fmt::format(" of length {} on axis {}",
                                          length / 2 + 1,
                                          axes.back())
                            : ""));
  }
  if (kind == Kind::from_real) last = last / 2 + 1;
  if (kind == Kind::to_real) last = length;
  return {out};
}

Arrays Fft::jvp(const Arrays&, const Arrays&, const Arrays& t, Argnums) const {
  if (t[0].null()) return {array()};
  return {record(*this, {t[0]}, resolve({}))};
}

// The conjugate transpose: the other direction. A kept half stands for twice
// its inner elements in one direction and for itself in the other.
Arrays Fft::vjp(const Arrays& x,
                const Arrays&,
                const Arrays& ct,
                Argnums) const {
  if (ct[0].null()) return {array()};
  Fft back = *this;
  const size_t last = size_t(axes.back()), ndim = x[0].shape().size();
  switch (kind) {
    case Kind::complex:
      back.inverse = !inverse;
      return {record(back, {ct[0]}, resolve({}))};
    case Kind::from_real: {
      back.kind = Kind::to_real;
      back.inverse = true;
      back.length = x[0].shape(int(last));
      array g = ct[0] * half_weights(back.length, last, ndim, 0.5);
      return {record(back, {g}, resolve({}))};
    }
    default: {
      back.kind = Kind::from_real;
      back.inverse = false;
      back.length = 0;
      array g = record(back, {ct[0]}, resolve({}));
      return {g * half_weights(length, last, ndim, 2)};
    }
  }
}

Mapped Fft::vmap(const Arrays& x, std::span<const int> mapped) const {
  Fft op = *this;
  for (int& a : op.axes) ++a;
  return {{record(op, {moveaxis(x[0], mapped[0], 0)}, resolve({}))}, {0}};
}

// The functions --------------------------------------------------------------

namespace {

struct Form {
  const char* name;
  Kind kind;
  bool inverse;
};

// x with axis cut or filled with zeros to n elements.
array resized(const array& x, int axis, int64_t n, StreamOrDevice s) {
  const int64_t have = x.shape(axis);
  if (have == n) return x;
  Shape low(x.shape().size(), 0), high = low;
  if (have < n) {
    high[size_t(axis)] = n - have;
    return treadle::pad(x, low, high, s);
  }
  Shape stop = x.shape();
  stop[size_t(axis)] = n;
  return slice(x, low, stop, {}, s);
}

double scale_of(double n, FFTNorm norm, bool inverse) {
  if (norm == FFTNorm::Ortho) return 1 / std::sqrt(n);
  return (norm == FFTNorm::Backward) == inverse ? 1 / n : 1;
}

// The axes to transform: those given, or the last as many as there are lengths,
// or all.
Axes axes_of(const Form& form,
             const array& a,
             const std::optional<Shape>& n,
             const std::optional<Axes>& axes) {
  Axes out;
  if (axes) {
    out = *axes;
  } else {
    const int count = n ? int(n->size()) : a.ndim();
    for (int i = a.ndim() - count; i < a.ndim(); ++i) out.push_back(i);
  }
  for (int& i : out) i = normalize_axis(form.name, i, a.shape().size());
  for (size_t i = 0; i < out.size(); ++i) {
    if (std::count(out.begin(), out.end(), out[i]) == 1) continue;
    invalid(form.name, fmt::format("axis {} is given twice.", out[i]));
  }
  if (n && n->size() != out.size()) {
    invalid(form.name,
            fmt::format("got {} lengths for {} axes.", n->size(), out.size()));
  }
  return out;
}

array transform(const Form& form,
                const array& a,
                const std::optional<Shape>& n,
                const std::optional<Axes>& axes,
                FFTNorm norm,
                StreamOrDevice s) {
  if (a.ndim() == 0 && !axes) {
    invalid(form.name, "got a scalar; expected at least one axis.");
  }
  Fft op;
  op.kind = form.kind;
  op.inverse = form.inverse;
  op.axes = axes_of(form, a, n, axes);
  if (op.axes.empty()) return a;
  array x = astype(a, form.kind == Kind::from_real ? float32 : complex64, s);
  double elements = 1;
  for (size_t i = 0; i < op.axes.size(); ++i) {
    const int axis = op.axes[i];
    const bool half = form.kind == Kind::to_real && i + 1 == op.axes.size();
    const int64_t length =
        n ? (*n)[i] : (half ? 2 * (a.shape(axis) - 1) : a.shape(axis));
    if (length < 1) {
      invalid(form.name,
              fmt::format("got length {} on axis {} of {}; expected at least "
                          "1.",
                          length,
                          axis,
                          to_string(a.shape())));
    }
    x = resized(x, axis, half ? length / 2 + 1 : length, s);
    if (half) op.length = length;
    elements *= double(length);
  }
  op.scale = scale_of(elements, norm, form.inverse);
  return record(op, {x}, resolve(s));
}

std::optional<Shape> one(std::optional<int64_t> n) {
  return n ? std::optional<Shape>(Shape{*n}) : std::nullopt;
}

}  // namespace

FFTNorm norm_of(std::string_view op, const std::string& name) {
  if (name == "backward") return FFTNorm::Backward;
  if (name == "ortho") return FFTNorm::Ortho;
  if (name == "forward") return FFTNorm::Forward;
  invalid(op,
          fmt::format("got norm '{}'; expected 'backward', 'ortho' or "
                      "'forward'.",
                      name));
}

#define TREADLE_FFT(name, kind, inverse)                                      \
  array name##n(const array& a,                                               \
                const std::optional<Shape>& n,                                \
                const std::optional<Axes>& axes,                              \
                FFTNorm norm,                                                 \
                StreamOrDevice s) {                                           \
    return transform({"fft." #name "n", kind, inverse}, a, n, axes, norm, s); \
  }                                                                           \
  array name##2(const array& a,                                               \
                const std::optional<Shape>& n,                                \
                const std::optional<Axes>& axes,                              \
                FFTNorm norm,                                                 \
                StreamOrDevice s) {                                           \
    return transform({"fft." #name "2", kind, inverse}, a, n, axes, norm, s); \
  }                                                                           \
  array name(const array& a,                                                  \
             std::optional<int64_t> n,                                        \
             int axis,                                                        \
             FFTNorm norm,                                                    \
             StreamOrDevice s) {                                              \
    return transform(                                                         \
        {"fft." #name, kind, inverse}, a, one(n), Axes{axis}, norm, s);       \
  }
TREADLE_FFT(fft, Kind::complex, false)
TREADLE_FFT(ifft, Kind::complex, true)
TREADLE_FFT(rfft, Kind::from_real, false)
TREADLE_FFT(irfft, Kind::to_real, true)
#undef TREADLE_FFT

namespace {

// The norm that gives the scale of the other direction.
FFTNorm swapped(FFTNorm norm) {
  if (norm == FFTNorm::Ortho) return norm;
  return norm == FFTNorm::Backward ? FFTNorm::Forward : FFTNorm::Backward;
}

}  // namespace

array hfft(const array& a,
           std::optional<int64_t> n,
           int axis,
           FFTNorm norm,
           StreamOrDevice s) {
  const array x = conjugate(astype(a, complex64, s), s);
  return transform({"fft.hfft", Kind::to_real, true},
                   x,
                   one(n),
                   Axes{axis},
                   swapped(norm),
                   s);
}

array ihfft(const array& a,
            std::optional<int64_t> n,
            int axis,
            FFTNorm norm,
            StreamOrDevice s) {
  return conjugate(transform({"fft.ihfft", Kind::from_real, false},
                             a,
                             one(n),
                             Axes{axis},
                             swapped(norm),
                             s),
                   s);
}

// Frequencies ----------------------------------------------------------------

namespace {

void check_frequencies(const char* op, int n, double d) {
  if (n < 1 || d == 0 || std::isnan(d)) {
    invalid(op,
            fmt::format("got n = {} and d = {}; expected n at least 1 and d "
                        "not 0.",
                        n,
                        d));
  }
}

// Moved by half of each axis, rounded down (to the middle) or up (back).
array shifted(const char* op,
              const array& a,
              const std::optional<Axes>& axes,
              bool back,
              StreamOrDevice s) {
  Axes over;
  if (axes) {
    over = *axes;
  } else {
    for (int i = 0; i < a.ndim(); ++i) over.push_back(i);
  }
  Shape by;
  for (int& i : over) {
    i = normalize_axis(op, i, a.shape().size());
    const int64_t half = a.shape(i) / 2;
    by.push_back(back ? -half : half);
  }
  return over.empty() ? a : roll(a, by, over, s);
}

}  // namespace

array fftfreq(int n, double d, StreamOrDevice s) {
  check_frequencies("fft.fftfreq", n, d);
  // 0, 1, ... and then the negative ones, ascending.
  array k = arange(n, int32, s);
  k = select(greater(k, (n - 1) / 2, s), subtract(k, n, s), k, s);
  return divide(astype(k, float32, s), n * d, s);
}

array rfftfreq(int n, double d, StreamOrDevice s) {
  check_frequencies("fft.rfftfreq", n, d);
  return divide(arange(n / 2 + 1, float32, s), n * d, s);
}

array fftshift(const array& a,
               const std::optional<Axes>& axes,
               StreamOrDevice s) {
  return shifted("fft.fftshift", a, axes, false, s);
}

array ifftshift(const array& a,
                const std::optional<Axes>& axes,
                StreamOrDevice s) {
  return shifted("fft.ifftshift", a, axes, true, s);
}

}  // namespace treadle::fft
