// After merging axes a row of the walk either has one index, and is a run of
// the source, or an index for each element.
#include "treadle/backend/cpu/take.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/index.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/take_words.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

template <class T>
struct Taking {
  std::string_view op;
  IndexWalk w;
  Operand indices;
  ReadIndex read;
  const T* from;
  T* to;

  // Runs of so many are worth vectors.
  static constexpr int64_t kWords = 32;
  // Whether offsets in a vector's stretch of x fit 32 bits.
  bool in_words(int64_t x_step, int64_t step) const {
    constexpr int64_t most = int64_t{1} << 30;
    return std::abs(x_step) * 64 < most && w.length > 0 && w.length < most &&
           std::abs(step) < most / w.length;
  }

  // y[k] = x[k x_step + index[k] step]; what lies outside is looked up at 0,
  // and reported at the end.
  template <class I>
  void gather(const T* x,
              int64_t x_step,
              const I* index,
              int64_t index_step,
              int64_t n,
              T* y,
              int64_t y_step) const {
    const int64_t step = w.step, length = w.length;
    bool wrong = false;
    if constexpr (sizeof(T) == 4 && std::is_same_v<I, int32_t>) {
      if (n >= kWords && index_step == 1 && y_step == 1 &&
          in_words(x_step, step)) {
        if (take_words(reinterpret_cast<const uint32_t*>(x),
                       x_step,
                       index,
                       n,
                       step,
                       length,
                       reinterpret_cast<uint32_t*>(y))) {
          return;
        }
        for (int64_t k = 0; k < n; ++k)
          checked_index(op, static_cast<int64_t>(index[k]), length);
      }
    }
    const auto one = [&](int64_t k, I given) {
      int64_t i = static_cast<int64_t>(given);
      i += i < 0 ? length : 0;
      const bool outside = static_cast<uint64_t>(i) >= uint64_t(length);
      wrong = wrong || outside;
      return x[k * x_step + (outside ? 0 : i) * step];
    };
    if (index_step == 1 && y_step == 1) {
      for (int64_t k = 0; k < n; ++k) y[k] = one(k, index[k]);
    } else {
      for (int64_t k = 0; k < n; ++k)
        y[k * y_step] = one(k, index[k * index_step]);
    }
    for (int64_t k = 0; wrong && k < n; ++k)
      checked_index(op, static_cast<int64_t>(index[k * index_step]), length);
  }

  // Elements [begin, end) of the row that `r` is at.
  void row(const Rows<3>& r, int64_t begin, int64_t end) const {
    const T* x = from + r.offset(0) + begin * r.step(0);
    T* y = to + r.offset(2) + begin * r.step(2);
    int64_t at = r.offset(1) + begin * r.step(1), n = end - begin;
    if (r.step(1) == 0) {
      x += checked_index(op, read(indices.data, at), w.length) * w.step;
      if (r.step(0) == 1 && r.step(2) == 1) {
        std::memcpy(y, x, size_t(n) * sizeof(T));
      } else {
        for (int64_t i = 0; i < n; ++i) y[i * r.step(2)] = x[i * r.step(0)];
      }
      return;
    }
    visit_dtype(indices.dtype, [&]<class I>() {
      if constexpr (std::is_integral_v<I> && !std::is_same_v<I, bool>) {
        gather(x,
               r.step(0),
               static_cast<const I*>(indices.data) + at,
               r.step(1),
               n,
               y,
               r.step(2));
      }
    });
  }

  void run(int max_threads) const {
    const Strides strides[] = {w.data, w.index, w.other};
    const int64_t total = size_of(w.shape);
    if (total == 0) return;
    const int64_t length = w.shape.empty() ? 1 : w.shape.back();
    const int64_t rows = total / length;
    const int threads =
        threads_for(max_threads, total * int64_t(sizeof(T) + 8));
    if (rows < 4 * threads) {
      for (Rows<3> r(w.shape, strides); r.more(); r.next()) {
        parallel_for(threads, length, [&](int64_t begin, int64_t end) {
          row(r, begin, end);
        });
      }
      return;
    }
    parallel_for(threads, rows, [&](int64_t begin, int64_t end) {
      Rows<3> r(w.shape, strides);
      r.skip(begin);
      for (int64_t i = begin; i < end; ++i, r.next()) row(r, 0, length);
    });
  }
};

template <class T>
void take_as(const Task& task, const IndexWalk& w) {
  const Operand& indices = task.in[1];
  Taking<T>{task.op.name(),
            w,
            indices,
            index_reader(indices.dtype),
            static_cast<const T*>(task.in[0].data),
            static_cast<T*>(task.out[0].data)}
      .run(task.threads);
}

void run(const Task& task, int axis, bool along) {
  IndexWalk w = index_walk(task.in[0], task.in[1], task.out[0], axis, along);
  collapse(w);
  switch (size_of(task.out[0].dtype)) {
    case 1:
      return take_as<uint8_t>(task, w);
    case 2:
      return take_as<uint16_t>(task, w);
    case 4:
      return take_as<uint32_t>(task, w);
    default:
      return take_as<uint64_t>(task, w);
  }
}

void run_take(const Task& task) {
  run(task, static_cast<const Take&>(task.op).axis, false);
}
void run_take_along_axis(const Task& task) {
  run(task, static_cast<const TakeAlongAxis&>(task.op).axis, true);
}

}  // namespace

runtime::Kernel take() {
  return {.name = "cpu::take", .run = run_take, .strided = true};
}
runtime::Kernel take_along_axis() {
  return {.name = "cpu::take_along_axis",
          .run = run_take_along_axis,
          .strided = true};
}

}  // namespace treadle::backend::cpu
