#include "treadle/backend/cpu/join_indices.h"

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/index.h"
#include "treadle/ops/join_indices.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

// Takes the positions along one more axis in; -1 stands for one outside.
template <class T>
void join(const Operand& indices, int64_t length, bool first, T* out) {
  const ReadIndex read = index_reader(indices.dtype);
  for (Rows<1> r(indices.shape, {&indices.strides, 1}); r.more(); r.next()) {
    for (int64_t i = 0; i < r.length(); ++i, ++out) {
      int64_t at = read(indices.data, r.offset(0) + i * r.step(0));
      if (at < 0) at += length;
      const bool inside = at >= 0 && at < length && (first || *out >= 0);
      *out = inside ? T((first ? 0 : *out * length) + at) : T(-1);
    }
  }
}

template <class T>
void run_as(const Task& task) {
  const Shape& lengths = static_cast<const JoinIndices&>(task.op).lengths;
  T* out = static_cast<T*>(task.out[0].data);
  for (size_t k = 0; k < task.in.size(); ++k) {
    join(task.in[k], lengths[k], k == 0, out);
  }
  const T past = T(size_of(lengths));
  const int64_t n = size_of(task.out[0].shape);
  for (int64_t i = 0; i < n; ++i) {
    if (out[i] < 0) out[i] = past;
  }
}

void run(const Task& task) {
  if (task.out[0].dtype == int32) {
    run_as<int32_t>(task);
  } else {
    run_as<int64_t>(task);
  }
}

}  // namespace

runtime::Kernel join_indices() {
  return {.name = "cpu::join_indices", .run = run, .strided = true};
}

}  // namespace treadle::backend::cpu
