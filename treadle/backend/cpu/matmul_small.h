// Own vector kernels for products that a library call would dwarf: small ones,
// and those with one row. They need no preparation, so lengths may change with
// every call. Sums run over k in one order, whatever the blocks: results do not
// depend on the number of threads.
#pragma once

#include <cstdint>

#include "treadle/backend/cpu/matmul_problem.h"
#include "treadle/base/dtype.h"

namespace treadle::backend::cpu {

// c (m, n) = a (m, k) @ b (k, n), or added to it. a and b have any strides,
// rows of c are contiguous. Strides are in elements.
template <class T>
struct SmallProduct {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_column;
  const T* b;
  int64_t b_row, b_column;
  T* c;
  int64_t c_row;
  bool add = false;  // to what is there
};
void small_matmul(const SmallProduct<float>& p);
void small_matmul(const SmallProduct<double>& p);
// A product without a batch, of float32 or float64.
void small_matmul(const Product& p, bool add = false);

// One row times a matrix: y (n) = x (k) @ b (k, n).
struct RowProduct {
  Dtype dtype;  // float16, bfloat16, float32 or float64
  int64_t n, k;
  const void* x;
  int64_t x_step;
  const void* b;
  bool b_columns;  // columns of b are contiguous, otherwise its rows
  int64_t b_lead;  // elements from one contiguous line of b to the next
  void* y;         // contiguous
};

// Computes columns [begin, end) of y. Cuts at multiples of kRowProductCut leave
// every bit as it is.
inline constexpr int64_t kRowProductCut = 64;
void row_product(const RowProduct& p, int64_t begin, int64_t end);

}  // namespace treadle::backend::cpu
