// Which rows have vector code in which file.
#pragma once

#include "treadle/ops/elementwise.h"

namespace treadle::backend::cpu {

// Float rows whose vectors compute in double.
constexpr bool is_wide(Row row) {
  switch (row) {
    case Row::log2:
    case Row::log10:
    case Row::log1p:
    case Row::tan:
    case Row::arcsin:
    case Row::arccos:
    case Row::arctan:
    case Row::sinh:
    case Row::cosh:
    case Row::arcsinh:
    case Row::arccosh:
    case Row::arctanh:
    case Row::erfinv:
    case Row::remainder:
    case Row::power:
    case Row::logaddexp:
    case Row::arctan2:
      return true;
    default:
      return false;
  }
}

// Rows of floats, or of doubles, that may be links of a chain: those that
// vectors compute in their own type.
constexpr bool is_chained(Row row, bool floats) {
  switch (row) {
    case Row::negative:
    case Row::abs:
    case Row::square:
    case Row::sqrt:
    case Row::rsqrt:
    case Row::reciprocal:
    case Row::add:
    case Row::subtract:
    case Row::multiply:
    case Row::divide:
    case Row::maximum:
    case Row::minimum:
      return true;
    case Row::sign:
    case Row::exp:
    case Row::expm1:
    case Row::log:
    case Row::tanh:
    case Row::sigmoid:
    case Row::erf:
    case Row::floor:
    case Row::ceil:
    case Row::rint:
    case Row::equal:
    case Row::not_equal:
    case Row::less:
    case Row::less_equal:
    case Row::greater:
    case Row::greater_equal:
    case Row::select:
      return floats;
    default:
      return false;
  }
}

// Binary rows that take a product of two others as one operand in a chain.
constexpr bool takes_product(Row row) {
  return row == Row::add || row == Row::subtract || row == Row::multiply ||
         row == Row::divide;
}

// Double rows that stay with std::.
constexpr bool is_function(Row row) {
  switch (row) {
    case Row::exp:
    case Row::expm1:
    case Row::log:
    case Row::log2:
    case Row::log10:
    case Row::log1p:
    case Row::sin:
    case Row::cos:
    case Row::tan:
    case Row::arcsin:
    case Row::arccos:
    case Row::arctan:
    case Row::sinh:
    case Row::cosh:
    case Row::tanh:
    case Row::arcsinh:
    case Row::arccosh:
    case Row::arctanh:
    case Row::sigmoid:
    case Row::erf:
    case Row::erfinv:
    case Row::remainder:
    case Row::power:
    case Row::logaddexp:
    case Row::arctan2:
      return true;
    default:
      return false;
  }
}

// Slow integer rows: powers are scalar, the others for 64 bits alone.
constexpr bool is_division(Row row) {
  switch (row) {
    case Row::floor_divide:
    case Row::remainder:
    case Row::power:
      return true;
    default:
      return false;
  }
}

}  // namespace treadle::backend::cpu
