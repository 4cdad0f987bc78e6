// A number without a dtype of its own: it takes the dtype of the array it
// meets, so that bfloat16 * 2.0 stays bfloat16, in C++ as in Python.
#pragma once

#include <complex>
#include <concepts>
#include <cstdint>
#include <string>

#include "treadle/base/dtype.h"

namespace treadle {

class Scalar {
 public:
  enum class Kind : uint8_t { boolean, integer, floating, complex };

  Scalar(bool v) : kind_(Kind::boolean), int_(v) {}
  template <std::integral T>
  Scalar(T v) : kind_(Kind::integer), int_(static_cast<int64_t>(v)) {}
  template <std::floating_point T>
  Scalar(T v) : kind_(Kind::floating), real_(double(v)) {}
  Scalar(std::complex<float> v)
      : kind_(Kind::complex), real_(v.real()), imag_(v.imag()) {}
  Scalar(std::complex<double> v)
      : kind_(Kind::complex), real_(v.real()), imag_(v.imag()) {}

  Kind kind() const { return kind_; }
  double real() const { return kind_ <= Kind::integer ? double(int_) : real_; }
  double imag() const { return imag_; }
  // Truncates a floating value.
  int64_t integer() const {
    return kind_ <= Kind::integer ? int_ : static_cast<int64_t>(real_);
  }

  // The dtype it has when it meets no array: bool, int32 (int64 when it does
  // not fit), float32, complex64.
  Dtype default_dtype() const;
  // The dtype of `array op this`: that of the array unless this is of a higher
  // kind, as in MLX (int32 array + 1.5 is float32).
  Dtype dtype_with(Dtype array) const;

  // False for an integer beyond the range of the integer type t.
  bool fits(Dtype t) const;

  // Writes the value as one element of type t.
  void write(Dtype t, void* to) const;

  std::string to_string() const;

 private:
  Kind kind_;
  int64_t int_ = 0;
  double real_ = 0;
  double imag_ = 0;
};

}  // namespace treadle
