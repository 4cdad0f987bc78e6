// A matrix product as kernels see it: lengths, the batch, and how the elements
// of the two factors lie.
#pragma once

#include "treadle/runtime/kernel.h"

namespace treadle::backend::cpu {

struct Factor {
  // rows: columns are 1 apart and rows `lead`; columns: the other way round;
  // scattered: anything else, which only copying helps.
  enum class Order : uint8_t { rows, columns, scattered };

  const void* data = nullptr;
  Dtype dtype = float32;
  int64_t rows = 0, columns = 0;
  int64_t row_step = 0, column_step = 0;  // in elements
  Strides batch;                          // 0: the same matrix again

  // Steps of axes of length 1 are set to what suits the order.
  Order order = Order::scattered;
  int64_t lead() const {
    return order == Order::columns ? column_step : row_step;
  }
  // Elements that a row-major copy needs, repeated matrices once.
  int64_t copy_size(const Shape& batch_shape) const;
};

// c (..., m, n) = a (..., m, k) @ b (..., k, n); c is row-contiguous. The batch
// axes are as few as the strides of a and b allow, and none where b repeats and
// the rows of a form one long matrix.
struct Product {
  int64_t m = 0, n = 0, k = 0;
  Shape batch;
  Factor a, b;
  void* c = nullptr;
  // n elements that are added to each row of c; only for oneDNN.
  bool biased = false;
  const void* bias = nullptr;
  Dtype dtype = float32;

  int64_t batch_size() const { return treadle::size_of(batch); }
  bool has_no_sum() const {
    return m == 0 || n == 0 || k == 0 || batch_size() == 0;
  }
};

// The last two axes of x, in an order where it has one.
Factor factor_of(const runtime::Operand& x);

Product product_of(const runtime::Task& task);

// f as a copy in row order would lie; its data is null.
Factor copied_layout(const Factor& f, const Shape& batch, Dtype dtype);
// Makes that copy at `to`.
Factor copied(
    const Factor& f, const Shape& batch, Dtype dtype, void* to, int threads);

// Rows [first, first + count) of a product without a batch.
Product rows_of(const Product& p, int64_t first, int64_t count);

// True when every step is positive and leads past all that smaller steps reach,
// repeated matrices aside: what oneDNN can describe.
bool is_nested(const Factor& f, const Shape& batch);

// Elements from the first matrix of f to that of number `index` in the batch.
int64_t batch_offset(const Factor& f, const Shape& batch, int64_t index);

}  // namespace treadle::backend::cpu
