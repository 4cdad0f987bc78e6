#include "treadle/graph/print.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>

#include <fmt/format.h>

#include "treadle/base/error.h"
#include "treadle/graph/elements.h"

namespace treadle {

namespace {

std::atomic<int> precision_now{-1};

// Six significant digits, as a C++ stream writes them, or as many after the
// point as the print options say.
void print_number(std::string& out, double v) {
  // A NaN has no sign worth showing.
  if (std::isnan(v)) {
    out += "nan";
    return;
  }
  const int precision = precision_now;
  char text[512];  // 309 digits, a point and at most 100 digits
  if (precision < 0) {
    std::snprintf(text, sizeof text, "%g", v);
  } else {
    std::snprintf(text, sizeof text, "%.*f", precision, v);
  }
  out += text;
}

template <class T>
void print(std::string& out, T v) {
  if constexpr (std::is_same_v<T, bool>) {
    out += v ? "True" : "False";
  } else if constexpr (std::is_same_v<T, complex64_t>) {
    print_number(out, double(v.real()));
    if (!std::signbit(v.imag()) || std::isnan(v.imag())) out += '+';
    print_number(out, double(v.imag()));
    out += 'j';
  } else if constexpr (std::is_integral_v<T>) {
    out += std::to_string(v);
  } else {
    print_number(out, double(v));
  }
}

constexpr int64_t kShown = 3;  // elements at each end of a long axis

template <class T>
void print_along(std::string& out,
                 const Elements& e,
                 size_t axis,
                 int64_t offset) {
  if (axis == e.ndim()) return print(out, e.at<T>(offset));
  int64_t n = e.length(axis);
  bool last = axis + 1 == e.ndim();
  out += '[';
  for (int64_t i = 0; i < n; ++i) {
    if (i > 0) {
      out += last ? ", " : ",\n";
      if (!last) out.append(axis + 7, ' ');
    }
    if (i == kShown && n > 2 * kShown) {
      out += "...";
      i = n - kShown - 1;
      continue;
    }
    print_along<T>(out, e, axis + 1, offset + e.step(axis, i));
  }
  out += ']';
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const array& x) {
  if (x.null()) return out << "array()";
  std::string text;
  visit_dtype(x.dtype(), [&]<class T>() {
    const T* first = x.data<T>();
    print_along<T>(text, Elements(x, first), 0, 0);
  });
  return out << "array(" << text << ", dtype=" << name_of(x.dtype()) << ")";
}

void set_print_precision(int digits) {
  if (digits < -1 || digits > 100) {
    invalid("set_printoptions",
            fmt::format("got precision {}; expected 0 to 100, or -1 for the "
                        "default.",
                        digits));
  }
  precision_now = digits;
}

int print_precision() { return precision_now; }

}  // namespace treadle
