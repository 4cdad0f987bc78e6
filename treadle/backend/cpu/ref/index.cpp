#include "treadle/backend/cpu/ref/index.h"

#include <vector>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/index.h"
#include "treadle/backend/cpu/memory.h"
#include "treadle/backend/cpu/ref/move.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

// Calls visit(data offset, other offset) for all pairs.
template <class F>
void for_pairs(std::string_view op,
               const IndexWalk& w,
               const Operand& indices,
               F visit) {
  ReadIndex read = index_reader(indices.dtype);
  const Strides walked[] = {w.data, w.index, w.other};
  for (Rows<3> r(w.shape, walked); r.more(); r.next()) {
    for (int64_t i = 0; i < r.length(); ++i) {
      int64_t index = read(indices.data, r.offset(1) + i * r.step(1));
      index = checked_index(op, index, w.length);
      visit(r.offset(0) + i * r.step(0) + index * w.step,
            r.offset(2) + i * r.step(2));
    }
  }
}

void take(const Task& task, int axis, bool along) {
  const Operand &x = task.in[0], &indices = task.in[1], &out = task.out[0];
  IndexWalk w = index_walk(x, indices, out, axis, along);
  visit_dtype(x.dtype, [&]<class T>() {
    const T* from = static_cast<const T*>(x.data);
    T* to = static_cast<T*>(out.data);
    for_pairs(task.op.name(), w, indices, [&](int64_t at, int64_t i) {
      to[i] = from[at];
    });
  });
}

// updates of type U into `to` of type T.
template <class T, class U>
void scatter_as(const Task& task,
                const Operand& to,
                const Operand& indices,
                const Operand& updates,
                const IndexWalk& w,
                ScatterMode mode) {
  const U* from = static_cast<const U*>(updates.data);
  T* out = static_cast<T*>(to.data);
  visit_mode(mode, [&]<ScatterMode m>() {
    for_pairs(task.op.name(), w, indices, [&](int64_t at, int64_t i) {
      out[at] = combine<m>(out[at], static_cast<T>(from[i]));
    });
  });
}

// Adds in float32 and rounds once.
template <class T>
void add_halves(const Task& task,
                const Operand& indices,
                const Operand& updates,
                int axis,
                bool along) {
  const Operand& out = task.out[0];
  std::vector<float> sums(static_cast<size_t>(size_of(out.shape)));
  Operand wide{
      sums.data(), float32, out.shape, row_major_strides(out.shape), true};
  ref_copy(task.in[0], wide);
  IndexWalk w = index_walk(wide, indices, updates, axis, along);
  scatter_as<float, T>(task, wide, indices, updates, w, ScatterMode::add);
  ref_copy(wide, out);
}

void scatter(const Task& task, int axis, bool along, ScatterMode mode) {
  const Operand& out = task.out[0];
  std::vector<char> stored_indices, stored_updates;
  Operand indices = apart_from(task.in[1], out, stored_indices);
  Operand updates = apart_from(task.in[2], out, stored_updates);
  visit_dtype(out.dtype, [&]<class T>() {
    if constexpr (is_half_type<T>) {
      if (mode == ScatterMode::add) {
        return add_halves<T>(task, indices, updates, axis, along);
      }
    }
    if (out.data != task.in[0].data) ref_copy(task.in[0], out);
    IndexWalk w = index_walk(out, indices, updates, axis, along);
    scatter_as<T, T>(task, out, indices, updates, w, mode);
  });
}

void run_take(const Task& task) {
  take(task, static_cast<const Take&>(task.op).axis, false);
}
void run_take_along_axis(const Task& task) {
  take(task, static_cast<const TakeAlongAxis&>(task.op).axis, true);
}
void run_scatter(const Task& task) {
  const auto& op = static_cast<const Scatter&>(task.op);
  scatter(task, op.axis, false, op.mode);
}
void run_scatter_along_axis(const Task& task) {
  const auto& op = static_cast<const ScatterAlongAxis&>(task.op);
  scatter(task, op.axis, true, op.mode);
}

}  // namespace

runtime::Kernel ref_take() {
  return {.name = "ref::take", .run = run_take, .strided = true};
}
runtime::Kernel ref_take_along_axis() {
  return {.name = "ref::take_along_axis",
          .run = run_take_along_axis,
          .strided = true};
}
runtime::Kernel ref_scatter() {
  return {.name = "ref::scatter",
          .run = run_scatter,
          .strided = true,
          .in_place = true};
}
runtime::Kernel ref_scatter_along_axis() {
  return {.name = "ref::scatter_along_axis",
          .run = run_scatter_along_axis,
          .strided = true,
          .in_place = true};
}

}  // namespace treadle::backend::cpu
