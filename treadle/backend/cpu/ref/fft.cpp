// The sums as they are written, axis by axis, in double precision.
#include "treadle/backend/cpu/ref/fft.h"

#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "treadle/ops/fft.h"

namespace treadle::backend::cpu {

namespace {

using fft::Fft;
using Number = std::complex<double>;

struct Numbers {
  Shape shape;
  std::vector<Number> at;
};

// e^(+-2 pi i jk/n), with jk kept small.
Number root(int64_t j, int64_t k, int64_t n, bool inverse) {
  const double angle = 2 * std::numbers::pi * double(j * k % n) / double(n);
  return std::polar(1.0, inverse ? angle : -angle);
}

// Element j of a row of n: that of the other half is the conjugate's.
Number element(const Number* row, int64_t step, int64_t j, int64_t n) {
  if (j <= n / 2) {
    const Number v = row[j * step];
    // What has no partner counts as real.
    return j == 0 || 2 * j == n ? v.real() : v;
  }
  return std::conj(row[(n - j) * step]);
}

// Along one axis: n numbers, of which only half are there when `hermitian`, to
// `results`.
Numbers transformed(const Numbers& x,
                    size_t axis,
                    int64_t n,
                    int64_t results,
                    bool inverse,
                    bool hermitian) {
  Numbers y{x.shape, {}};
  const int64_t have = x.shape[axis];
  y.shape[axis] = results;
  int64_t outer = 1, inner = 1;
  for (size_t i = 0; i < axis; ++i) outer *= x.shape[i];
  for (size_t i = axis + 1; i < x.shape.size(); ++i) inner *= x.shape[i];
  y.at.resize(size_t(outer * results * inner));
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i) {
      const Number* from = x.at.data() + o * have * inner + i;
      Number* to = y.at.data() + o * results * inner + i;
      for (int64_t k = 0; k < results; ++k) {
        Number sum = 0;
        for (int64_t j = 0; j < n; ++j) {
          sum += root(j, k, n, inverse) *
                 (hermitian ? element(from, inner, j, n) : from[j * inner]);
        }
        to[k * inner] = sum;
      }
    }
  }
  return y;
}

void run(const runtime::Task& task) {
  const Fft& op = static_cast<const Fft&>(task.op);
  const runtime::Operand &in = task.in[0], &out = task.out[0];
  if (size_of(out.shape) == 0) return;
  Numbers x{in.shape, {}};
  const int64_t count = size_of(in.shape);
  const bool real = op.kind == Fft::Kind::from_real;
  for (int64_t i = 0; i < count; ++i) {
    x.at.push_back(real ? Number(static_cast<const float*>(in.data)[i])
                        : Number(static_cast<const complex64_t*>(in.data)[i]));
  }
  const bool back = op.kind == Fft::Kind::to_real;
  const size_t last = size_t(op.axes.back());
  if (real) {
    const int64_t n = x.shape[last];
    x = transformed(x, last, n, n / 2 + 1, false, false);
  }
  for (size_t i = 0;
       i + 1 < op.axes.size() || (i < op.axes.size() && !real && !back);
       ++i) {
    const size_t axis = size_t(op.axes[i]);
    const int64_t n = x.shape[axis];
    x = transformed(x, axis, n, n, back || op.inverse, false);
  }
  if (back) x = transformed(x, last, op.length, op.length, true, true);
  for (size_t i = 0; i < x.at.size(); ++i) {
    const Number v = x.at[i] * op.scale;
    if (back) {
      static_cast<float*>(out.data)[i] = float(v.real());
    } else {
      static_cast<complex64_t*>(out.data)[i] = complex64_t(v);
    }
  }
}

}  // namespace

runtime::Kernel ref_fft() { return {.name = "ref::fft", .run = run}; }

}  // namespace treadle::backend::cpu
