#include "treadle/ops/signal.h"

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/ops/conv.h"
#include "treadle/ops/create.h"
#include "treadle/ops/elementwise.h"
#include "treadle/ops/views.h"

namespace treadle {

namespace {

constexpr double kTwoPi = 6.283185307179586;

// a + b cos(angle) + c cos(2 angle), the angle going once around in m - 1
// steps.
array cosines(int m, double a, double b, double c, StreamOrDevice s) {
  if (m < 1) return zeros({0}, float32, s);
  if (m == 1) return ones({1}, float32, s);
  array angle = multiply(arange(m, float32, s), kTwoPi / (m - 1), s);
  array y = add(multiply(cos(angle, s), b, s), a, s);
  return c == 0 ? y : add(y, multiply(cos(multiply(angle, 2, s), s), c, s), s);
}

}  // namespace

array bartlett(int m, StreamOrDevice s) {
  if (m < 1) return zeros({0}, float32, s);
  if (m == 1) return ones({1}, float32, s);
  array n = multiply(arange(m, float32, s), 2.0 / (m - 1), s);
  return subtract(1, abs(subtract(n, 1, s), s), s);
}
array blackman(int m, StreamOrDevice s) {
  return cosines(m, 0.42, -0.5, 0.08, s);
}
array hamming(int m, StreamOrDevice s) { return cosines(m, 0.54, -0.46, 0, s); }
array hanning(int m, StreamOrDevice s) { return cosines(m, 0.5, -0.5, 0, s); }

array convolve(const array& a,
               const array& v,
               const std::string& mode,
               StreamOrDevice s) {
  if (a.ndim() != 1 || v.ndim() != 1 || a.size() == 0 || v.size() == 0) {
    invalid("convolve",
            fmt::format("got shapes {} and {}; expected two vectors that are "
                        "not empty.",
                        to_string(a.shape()),
                        to_string(v.shape())));
  }
  const array& x = a.size() < v.size() ? v : a;
  const array& w = a.size() < v.size() ? a : v;
  int64_t k = w.size(), low, high;
  if (mode == "full") {
    low = high = k - 1;
  } else if (mode == "same") {
    low = k / 2;
    high = k - 1 - low;
  } else if (mode == "valid") {
    low = high = 0;
  } else {
    invalid("convolve",
            fmt::format("got mode '{}'; expected 'full', 'same' or 'valid'.",
                        mode));
  }
  // The convolution of layers does not turn its weights around.
  array turned = slice(w, {k - 1}, {-k - 1}, {-1}, s);
  array y = conv1d(reshape(pad(x, {low}, {high}, s), {1, -1, 1}, s),
                   reshape(turned, {1, k, 1}, s),
                   1,
                   0,
                   1,
                   1,
                   s);
  return reshape(y, {-1}, s);
}

}  // namespace treadle
