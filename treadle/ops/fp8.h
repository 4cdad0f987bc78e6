// Numbers of 8 bits: sign, 4 bits of exponent, 3 of mantissa (e4m3), kept in
// uint8. The largest is 448, there is no infinity, 0x7f and 0xff are NaN.
// (Micikevicius et al., FP8 Formats for Deep Learning, 2022)
#pragma once

#include "treadle/graph/array.h"

namespace treadle {

// x, floating, of any shape, rounded to the nearest number, ties to even; what
// is larger than 448 becomes 448, and so does NaN. Has no derivative.
array to_fp8(const array& x, StreamOrDevice s = {});
// The numbers that the bytes of x (uint8) stand for, in a floating dtype.
array from_fp8(const array& x, Dtype dtype = bfloat16, StreamOrDevice s = {});

}  // namespace treadle
