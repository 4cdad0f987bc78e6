#include "treadle/backend/cpu/ref/matmul.h"

#include <complex>
#include <cstdint>
#include <type_traits>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/convert.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

// What products of T are summed in: wide enough to be the exact side of a
// comparison. Integers wrap around.
template <class T>
using Sum = std::conditional_t<
    std::is_same_v<T, complex64_t>,
    std::complex<double>,
    std::conditional_t<std::is_integral_v<T>, uint64_t, double>>;

template <class T>
void multiply(const Operand& a, const Operand& b, const Operand& c) {
  const size_t rank = c.shape.size();
  const int64_t inner = a.shape[rank - 1];
  const int64_t a_step = a.strides[rank - 1], b_step = b.strides[rank - 2];
  // Over the space of the result: a does not move along columns, b not along
  // rows.
  Strides strides[] = {a.strides, b.strides, c.strides};
  strides[0][rank - 1] = 0;
  strides[1][rank - 2] = 0;
  for (Rows<3> r(c.shape, strides); r.more(); r.next()) {
    for (int64_t j = 0; j < r.length(); ++j) {
      const T* x = static_cast<const T*>(a.data) + r.offset(0);
      const T* y = static_cast<const T*>(b.data) + r.offset(1) + j * r.step(1);
      Sum<T> sum(0);
      for (int64_t k = 0; k < inner; ++k) {
        sum += static_cast<Sum<T>>(x[k * a_step]) *
               static_cast<Sum<T>>(y[k * b_step]);
      }
      T* z = static_cast<T*>(c.data) + r.offset(2) + j * r.step(2);
      if constexpr (std::is_same_v<T, complex64_t>) {
        *z = T(sum);
      } else {
        *z = convert<T>(sum);
      }
    }
  }
}

void run(const Task& task) {
  visit_dtype(task.out[0].dtype, [&]<class T>() {
    multiply<T>(task.in[0], task.in[1], task.out[0]);
  });
}

}  // namespace

runtime::Kernel ref_matmul() {
  return {.name = "ref::matmul", .run = run, .strided = true};
}

}  // namespace treadle::backend::cpu
