#include "treadle/base/scalar.h"

#include <cstring>
#include <limits>

#include <fmt/format.h>

namespace treadle {

Dtype Scalar::default_dtype() const {
  switch (kind_) {
    case Kind::boolean:
      return bool_;
    case Kind::integer:
      return int_ >= std::numeric_limits<int32_t>::min() &&
                     int_ <= std::numeric_limits<int32_t>::max()
                 ? int32
                 : int64;
    case Kind::floating:
      return float32;
    case Kind::complex:
      break;
  }
  return complex64;
}

Dtype Scalar::dtype_with(Dtype array) const {
  switch (kind_) {
    case Kind::boolean:
      return array;
    case Kind::integer:
      return array == bool_ ? default_dtype() : array;
    case Kind::floating:
      return at_least_float(array);
    case Kind::complex:
      break;
  }
  return complex64;
}

bool Scalar::fits(Dtype t) const {
  if (kind_ != Kind::integer || !is_integer(t)) return true;
  if (t == uint64) return int_ >= 0;
  int bits = int(8 * size_of(t)) - is_signed_integer(t);
  int64_t high = bits >= 63 ? std::numeric_limits<int64_t>::max()
                            : (int64_t(1) << bits) - 1;
  int64_t low = is_unsigned(t) ? 0 : -high - 1;
  return low <= int_ && int_ <= high;
}

void Scalar::write(Dtype t, void* to) const {
  visit_dtype(t, [&]<class T>() {
    T v;
    if constexpr (std::is_same_v<T, complex64_t>) {
      v = T(float(real()), float(imag_));
    } else if constexpr (std::is_same_v<T, bool>) {
      v = kind_ <= Kind::integer ? int_ != 0 : real_ != 0;
    } else if constexpr (std::is_integral_v<T>) {
      v = static_cast<T>(integer());
    } else if constexpr (std::is_same_v<T, double>) {
      v = real();
    } else {
      v = T(float(real()));
    }
    std::memcpy(to, &v, sizeof(T));
  });
}

std::string Scalar::to_string() const {
  switch (kind_) {
    case Kind::boolean:
      return int_ ? "True" : "False";
    case Kind::integer:
      return fmt::format("{}", int_);
    case Kind::floating:
      return fmt::format("{}", real_);
    case Kind::complex:
      break;
  }
  return fmt::format("({}{:+}j)", real_, imag_);
}

}  // namespace treadle
