#include "treadle/backend/cpu/join_indices.h"

#include <algorithm>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/index.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/ops/join_indices.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

// Results are made so many at a time, axis after axis.
constexpr int64_t kRun = 2048;

// Takes the positions along one more axis in; -1 stands for one outside.
template <class T, class I>
void join(const I* index,
          int64_t step,
          int64_t n,
          int64_t length,
          bool first,
          T* out) {
  for (int64_t i = 0; i < n; ++i) {
    const auto given = static_cast<int64_t>(index[i * step]);
    const int64_t at = given + (given < 0 ? length : 0);
    const int64_t before = first ? 0 : static_cast<int64_t>(out[i]);
    const bool inside =
        static_cast<uint64_t>(at) < static_cast<uint64_t>(length) &&
        before >= 0;
    out[i] = inside ? static_cast<T>(before * length + at) : T(-1);
  }
}

// Elements [begin, begin + n) of all of them.
template <class T>
void join_run(const Operand& indices,
              int64_t begin,
              int64_t n,
              int64_t length,
              bool first,
              T* out) {
  visit_dtype(indices.dtype, [&]<class I>() {
    if constexpr (std::is_integral_v<I> && !std::is_same_v<I, bool>) {
      Rows<1> r(indices.shape, {&indices.strides, 1});
      r.skip(begin / r.length());
      for (int64_t at = begin % r.length(); n > 0; at = 0, r.next()) {
        const int64_t count = std::min(n, r.length() - at);
        join(static_cast<const I*>(indices.data) + r.offset(0) + at * r.step(0),
             r.step(0),
             count,
             length,
             first,
             out);
        out += count;
        n -= count;
      }
    }
  });
}

template <class T>
void run_as(const Task& task) {
  const Shape& lengths = static_cast<const JoinIndices&>(task.op).lengths;
  T* out = static_cast<T*>(task.out[0].data);
  const T past = T(size_of(lengths));
  const int64_t total = size_of(task.out[0].shape);
  const int64_t bytes = total * int64_t(sizeof(T) * (task.in.size() + 1));
  parallel_for(
      threads_for(task.threads, bytes),
      (total + kRun - 1) / kRun,
      [&](int64_t first_run, int64_t last_run) {
        for (int64_t run = first_run; run < last_run; ++run) {
          const int64_t begin = run * kRun, n = std::min(kRun, total - begin);
          for (size_t k = 0; k < task.in.size(); ++k) {
            join_run(task.in[k], begin, n, lengths[k], k == 0, out + begin);
          }
          for (int64_t i = begin; i < begin + n; ++i) {
            if (out[i] < 0) out[i] = past;
          }
        }
      });
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
