#include "treadle/backend/cpu/ref/sort.h"

#include <algorithm>
#include <numeric>

#include "treadle/backend/cpu/order.h"
#include "treadle/ops/sort.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

void run_sort(const Task& task) {
  const Operand &in = task.in[0], &out = task.out[0];
  const int64_t size = size_of(in.shape), n = in.shape.back();
  visit_dtype(in.dtype, [&]<class T>() {
    const T* x = static_cast<const T*>(in.data);
    T* y = static_cast<T*>(out.data);
    std::copy_n(x, size, y);
    for (int64_t row = 0; row < size; row += n)
      std::stable_sort(y + row, y + row + n, comes_before<T>);
  });
}

void run_argsort(const Task& task) {
  const Operand &in = task.in[0], &out = task.out[0];
  const int64_t size = size_of(in.shape), n = in.shape.back();
  uint32_t* y = static_cast<uint32_t*>(out.data);
  visit_dtype(in.dtype, [&]<class T>() {
    const T* x = static_cast<const T*>(in.data);
    for (int64_t row = 0; row < size; row += n) {
      std::iota(y + row, y + row + n, 0u);
      std::stable_sort(y + row, y + row + n, [&](uint32_t a, uint32_t b) {
        return comes_before(x[row + a], x[row + b]);
      });
    }
  });
}

void run_argpartition(const Task& task) {
  run_argsort(task);
  const int64_t kth = static_cast<const ArgPartition&>(task.op).kth;
  const int64_t size = size_of(task.out[0].shape), n = task.out[0].shape.back();
  uint32_t* y = static_cast<uint32_t*>(task.out[0].data);
  for (int64_t row = 0; row < size; row += n) {
    std::sort(y + row, y + row + kth);
    std::sort(y + row + kth + 1, y + row + n);
  }
}

void run_searchsorted(const Task& task) {
  const bool right = static_cast<const SearchSorted&>(task.op).right;
  const Operand &sequence = task.in[0], &values = task.in[1];
  uint32_t* y = static_cast<uint32_t*>(task.out[0].data);
  visit_dtype(sequence.dtype, [&]<class T>() {
    const T* x = static_cast<const T*>(sequence.data);
    const T* v = static_cast<const T*>(values.data);
    const T* end = x + sequence.shape[0];
    for (int64_t i = 0; i < size_of(values.shape); ++i) {
      const T* at = right ? std::upper_bound(x, end, v[i], comes_before<T>)
                          : std::lower_bound(x, end, v[i], comes_before<T>);
      y[i] = uint32_t(at - x);
    }
  });
}

}  // namespace

runtime::Kernel ref_sort() { return {.name = "ref::sort", .run = run_sort}; }
runtime::Kernel ref_argsort() {
  return {.name = "ref::argsort", .run = run_argsort};
}
runtime::Kernel ref_argpartition() {
  return {.name = "ref::argpartition", .run = run_argpartition};
}
runtime::Kernel ref_searchsorted() {
  return {.name = "ref::searchsorted", .run = run_searchsorted};
}

}  // namespace treadle::backend::cpu
