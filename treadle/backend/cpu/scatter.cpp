// Updates of one element are applied in row order, by one thread. Threads
// divide the axes that are not indexed, where updates never meet; when those
// are short, they divide the destinations, and each reads all indices but
// writes only its own part.
#include "treadle/backend/cpu/scatter.h"

#include <algorithm>
#include <vector>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/index.h"
#include "treadle/backend/cpu/memory.h"
#include "treadle/backend/cpu/move.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/scatter_half.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

constexpr int64_t kBlock = 512;  // indices read at a time

// A part of the work: positions [begin, end) of one axis of the walk, or
// destinations [low, high) of the indexed axis.
struct Share {
  int axis = -1;
  int64_t begin = 0, end = 0;
  int64_t low = 0, high = 0;
};

// to[i] = combine(to[i], from[i]). In steps of a fixed length, which compilers
// turn into vectors.
template <ScatterMode mode, class T>
void combine_run(T* __restrict to, const T* __restrict from, int64_t n) {
  constexpr int64_t m = 32;
  int64_t i = 0;
  for (; i + m <= n; i += m) {
    for (int64_t k = 0; k < m; ++k)
      to[i + k] = combine<mode>(to[i + k], from[i + k]);
  }
  for (; i < n; ++i) to[i] = combine<mode>(to[i], from[i]);
}

template <ScatterMode mode, class T>
void scatter_share(std::string_view op,
                   const IndexWalk& w,
                   const Operand& indices,
                   const T* from,
                   T* to,
                   const Share& share) {
  ReadIndex read = index_reader(indices.dtype);
  Shape shape = w.shape;
  const Strides strides[] = {w.data, w.index, w.other};
  int64_t start[3] = {0, 0, 0};
  if (share.axis >= 0) {
    size_t a = size_t(share.axis);
    shape[a] = share.end - share.begin;
    for (int k = 0; k < 3; ++k) start[k] = share.begin * strides[k][a];
  }
  auto mine = [&](int64_t index) {
    return index >= share.low && index < share.high;
  };
  int64_t index[kBlock];
  for (Rows<3> r(shape, strides); r.more(); r.next()) {
    T* y = to + start[0] + r.offset(0);
    const T* u = from + start[2] + r.offset(2);
    const int64_t at = start[1] + r.offset(1), n = r.length();
    const int64_t ys = r.step(0), us = r.step(2);
    if (r.step(1) == 0) {
      int64_t i = checked_index(op, read(indices.data, at), w.length);
      if (!mine(i)) continue;
      y += i * w.step;
      if (ys == 1 && us == 1) {
        combine_run<mode>(y, u, n);
      } else {
        for (int64_t k = 0; k < n; ++k) {
          y[k * ys] = combine<mode>(y[k * ys], u[k * us]);
        }
      }
      continue;
    }
    for (int64_t i = 0; i < n; i += kBlock) {
      int64_t m = std::min(kBlock, n - i);
      load_indices(
          op, indices, at + i * r.step(1), r.step(1), m, w.length, index);
      for (int64_t k = 0; k < m; ++k) {
        if (!mine(index[k])) continue;
        T& element = y[(i + k) * ys + index[k] * w.step];
        element = combine<mode>(element, u[(i + k) * us]);
      }
    }
  }
}

// True for an axis along which updates never meet: the destination moves with
// it.
bool is_free(const IndexWalk& w, size_t axis) { return w.data[axis] != 0; }

// The longest free axis; -1 when there is none.
int free_axis(const IndexWalk& w) {
  int best = -1;
  for (int i = 0; i < int(w.shape.size()); ++i) {
    if (is_free(w, size_t(i)) &&
        (best < 0 || w.shape[size_t(i)] > w.shape[size_t(best)])) {
      best = i;
    }
  }
  return best;
}

// Calls work(share) for all shares, at once as far as threads go.
template <class F>
void divide(const IndexWalk& w, int64_t width, int max_threads, F work) {
  const int threads = threads_for(max_threads, 2 * size_of(w.shape) * width);
  const Share all{-1, 0, 0, 0, w.length};
  const int axis = free_axis(w);
  if (threads <= 1) return work(all);
  if (axis >= 0) {
    // Two threads should not write one cache line, so a contiguous axis is cut
    // into whole lines.
    size_t a = size_t(axis);
    int64_t unit = w.data[a] == 1 ? std::max<int64_t>(64 / width, 1) : 1;
    int64_t units = (w.shape[a] + unit - 1) / unit;
    if (units >= threads) {
      return parallel_for(threads, units, [&](int64_t begin, int64_t end) {
        Share s = all;
        s.axis = axis;
        s.begin = begin * unit;
        s.end = std::min(end * unit, w.shape[a]);
        work(s);
      });
    }
  }
  parallel_for(threads, w.length, [&](int64_t begin, int64_t end) {
    Share s = all;
    s.low = begin;
    s.high = end;
    work(s);
  });
}

template <ScatterMode mode, class T>
void scatter_as(const Task& task,
                const Operand& indices,
                const Operand& updates,
                const IndexWalk& w) {
  const T* from = static_cast<const T*>(updates.data);
  T* to = static_cast<T*>(task.out[0].data);
  divide(w, sizeof(T), task.threads, [&](const Share& share) {
    scatter_share<mode>(task.op.name(), w, indices, from, to, share);
  });
}

// Integers of both signs add alike, and what is only moved is moved as bits.
void scatter_bits(const Task& task,
                  const Operand& indices,
                  const Operand& updates,
                  const IndexWalk& w,
                  ScatterMode mode) {
  auto as = [&]<class T>() {
    if (mode == ScatterMode::assign) {
      scatter_as<ScatterMode::assign, T>(task, indices, updates, w);
    } else {
      scatter_as<ScatterMode::add, T>(task, indices, updates, w);
    }
  };
  switch (size_of(updates.dtype)) {
    case 1:
      return as.template operator()<uint8_t>();
    case 2:
      return as.template operator()<uint16_t>();
    case 4:
      return as.template operator()<uint32_t>();
    default:
      return as.template operator()<uint64_t>();
  }
}

void add_floating(const Task& task,
                  const Operand& indices,
                  const Operand& updates,
                  const IndexWalk& w) {
  visit_dtype(updates.dtype, [&]<class T>() {
    if constexpr (!std::is_integral_v<T> || std::is_same_v<T, bool>) {
      scatter_as<ScatterMode::add, T>(task, indices, updates, w);
    }
  });
}

// Types that products and extremes are worth code of their own for.
template <class T>
constexpr bool combines = std::is_arithmetic_v<T> && sizeof(T) >= 4;

void combine_numbers(const Task& task,
                     const Operand& indices,
                     const Operand& updates,
                     const IndexWalk& w,
                     ScatterMode mode) {
  visit_dtype(updates.dtype, [&]<class T>() {
    if constexpr (combines<T>) {
      visit_mode(mode, [&]<ScatterMode m>() {
        if constexpr (m > ScatterMode::add)
          scatter_as<m, T>(task, indices, updates, w);
      });
    }
  });
}

std::string why_not_mode(ScatterMode mode, Dtype dtype) {
  bool takes = mode <= ScatterMode::add;
  visit_dtype(dtype, [&]<class T>() { takes = takes || combines<T>; });
  return takes ? "" : "takes small and complex types to assign and add only";
}
std::string why_not_scatter(const Op& op,
                            std::span<const Spec> in,
                            std::span<const Spec>) {
  return why_not_mode(static_cast<const Scatter&>(op).mode, in[0].dtype);
}
std::string why_not_along(const Op& op,
                          std::span<const Spec> in,
                          std::span<const Spec>) {
  return why_not_mode(static_cast<const ScatterAlongAxis&>(op).mode,
                      in[0].dtype);
}

void run(const Task& task, int axis, bool along, ScatterMode mode) {
  const Operand& out = task.out[0];
  std::vector<char> stored_indices, stored_updates;
  Operand indices = apart_from(task.in[1], out, stored_indices);
  Operand updates = apart_from(task.in[2], out, stored_updates);
  if (out.data != task.in[0].data) copy(task.in[0], out, task.threads);
  IndexWalk w = index_walk(out, indices, updates, axis, along);
  collapse(w);
  if (size_of(w.shape) == 0) return;
  bool meets = false;
  for (size_t i = 0; i < w.shape.size(); ++i) meets = meets || !is_free(w, i);
  if (is_half(out.dtype) && mode == ScatterMode::add && meets) {
    return along ? add_half_lines(task, w, indices, updates)
                 : add_half_slices(task, axis, indices, updates);
  }
  if (mode > ScatterMode::add) {
    combine_numbers(task, indices, updates, w, mode);
  } else if (mode == ScatterMode::assign || is_integer(out.dtype)) {
    scatter_bits(task, indices, updates, w, mode);
  } else {
    add_floating(task, indices, updates, w);
  }
}

void run_scatter(const Task& task) {
  const auto& op = static_cast<const Scatter&>(task.op);
  run(task, op.axis, false, op.mode);
}
void run_scatter_along_axis(const Task& task) {
  const auto& op = static_cast<const ScatterAlongAxis&>(task.op);
  run(task, op.axis, true, op.mode);
}

}  // namespace

runtime::Kernel scatter() {
  return {.name = "cpu::scatter",
          .why_not = why_not_scatter,
          .run = run_scatter,
          .strided = true,
          .in_place = true};
}
runtime::Kernel scatter_along_axis() {
  return {.name = "cpu::scatter_along_axis",
          .why_not = why_not_along,
          .run = run_scatter_along_axis,
          .strided = true,
          .in_place = true};
}

}  // namespace treadle::backend::cpu
