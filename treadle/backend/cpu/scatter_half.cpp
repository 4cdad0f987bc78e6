#include "treadle/backend/cpu/scatter_half.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/move.h"
#include "treadle/backend/cpu/parallel.h"

namespace treadle::backend::cpu {

using runtime::Operand;
using runtime::Task;

namespace {

// Elements of a slice that are summed at a time.
constexpr int64_t kColumns = 1024;

std::vector<int64_t> all_indices(std::string_view op,
                                 const Operand& indices,
                                 int64_t length) {
  std::vector<int64_t> all(size_t(size_of(indices.shape)));
  int64_t* to = all.data();
  for (Rows<1> r(indices.shape, {&indices.strides, 1}); r.more(); r.next()) {
    load_indices(op, indices, r.offset(0), r.step(0), r.length(), length, to);
    to += r.length();
  }
  return all;
}

// Positions of the indices in ascending order; equal ones keep theirs.
std::vector<uint32_t> sorted_positions(const std::vector<int64_t>& indices,
                                       int64_t length) {
  std::vector<uint32_t> order(indices.size());
  if (length > 8 * int64_t(indices.size()) + 1024) {
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return indices[a] < indices[b];
    });
    return order;
  }
  std::vector<uint32_t> first(size_t(length) + 1);
  for (int64_t i : indices) ++first[size_t(i) + 1];
  std::partial_sum(first.begin(), first.end(), first.begin());
  for (size_t i = 0; i < indices.size(); ++i) {
    order[first[size_t(indices[i])]++] = uint32_t(i);
  }
  return order;
}

// x (P, N, Q) += updates (P, I, Q), both row-contiguous, at the indices (I).
template <class T>
struct Slices {
  T* x;
  const T* updates;
  int64_t outer = 1, length = 1, inner = 1;
  std::vector<int64_t> indices;
  std::vector<uint32_t> order;

  // The updates of one slice: sorted positions [begin, end).
  void add(size_t begin, size_t end) const {
    alignas(64) float sums[kColumns], update[kColumns];
    const LaneTable& lanes = lane_table();
    const MoveFn load = lanes.load[int(dtype_of<T>)];
    const RowFn plus = lanes.row[int(Row::add)][int(plan::Lane::f32)];
    const int64_t count = int64_t(indices.size()), at = indices[order[begin]];
    for (int64_t p = 0; p < outer; ++p) {
      T* slice = x + (p * length + at) * inner;
      for (int64_t q = 0; q < inner; q += kColumns) {
        const size_t n = size_t(std::min(kColumns, inner - q));
        load(n, sums, slice + q);
        for (size_t i = begin; i < end; ++i) {
          load(n, update, updates + (p * count + order[i]) * inner + q);
          plus(n, sums, sums, update, nullptr, 0);
        }
        lanes.store[int(dtype_of<T>)](n, slice + q, sums);
      }
    }
  }

  // Threads get equal numbers of updates, moved on to where a slice begins.
  void run(int threads) const {
    const size_t count = order.size();
    auto same = [&](size_t a, size_t b) {
      return indices[order[a]] == indices[order[b]];
    };
    parallel_for(threads, int64_t(count), [&](int64_t first, int64_t last) {
      size_t i = size_t(first);
      while (i > 0 && i < count && same(i - 1, i)) ++i;
      while (i < size_t(last)) {
        size_t end = i + 1;
        while (end < count && same(end, i)) ++end;
        add(i, end);
        i = end;
      }
    });
  }
};

template <class F>
void visit_half(Dtype dtype, F f) {
  if (dtype == float16) {
    f.template operator()<float16_t>();
  } else {
    f.template operator()<bfloat16_t>();
  }
}

}  // namespace

void add_half_slices(const Task& task,
                     int axis,
                     const Operand& indices,
                     const Operand& updates) {
  const Operand& out = task.out[0];
  Operand u = updates;
  std::vector<char> store;
  if (!u.contiguous) {
    store.resize(size_t(size_of(u.shape)) * size_of(u.dtype));
    u = Operand{
        store.data(), u.dtype, u.shape, row_major_strides(u.shape), true};
    copy(updates, u, task.threads);
  }
  visit_half(out.dtype, [&]<class T>() {
    Slices<T> s;
    s.x = static_cast<T*>(out.data);
    s.updates = static_cast<const T*>(u.data);
    for (int i = 0; i < int(out.shape.size()); ++i) {
      (i < axis    ? s.outer
       : i == axis ? s.length
                   : s.inner) *= out.shape[size_t(i)];
    }
    s.indices = all_indices(task.op.name(), indices, s.length);
    s.order = sorted_positions(s.indices, s.length);
    s.run(threads_for(task.threads, 2 * size_of(u.shape) * int64_t(sizeof(T))));
  });
}

// One line of x along the axis and one of updates at a time. Only the sums that
// an update touches are made and written back.
void add_half_lines(const Task& task,
                    const IndexWalk& w,
                    const Operand& indices,
                    const Operand& updates) {
  size_t axis = 0;
  while (w.data[axis] != 0) ++axis;
  Shape lines = w.shape;
  lines[axis] = 1;
  lines.push_back(1);  // each row of the walk is one line
  Strides strides[] = {w.data, w.index, w.other};
  for (Strides& s : strides) s.push_back(0);
  const int64_t n = w.shape[axis];
  const int threads = threads_for(task.threads, 2 * size_of(w.shape) * 8);
  visit_half(task.out[0].dtype, [&]<class T>() {
    parallel_for(threads, size_of(lines), [&](int64_t begin, int64_t end) {
      std::vector<float> sums(static_cast<size_t>(w.length));
      std::vector<int64_t> at(static_cast<size_t>(n));
      Rows<3> r(lines, strides);
      r.skip(begin);
      for (int64_t line = begin; line < end; ++line, r.next()) {
        T* x = static_cast<T*>(task.out[0].data) + r.offset(0);
        const T* u = static_cast<const T*>(updates.data) + r.offset(2);
        load_indices(task.op.name(),
                     indices,
                     r.offset(1),
                     w.index[axis],
                     n,
                     w.length,
                     at.data());
        for (int64_t i : at) sums[size_t(i)] = float(x[i * w.step]);
        for (int64_t k = 0; k < n; ++k) {
          sums[size_t(at[size_t(k)])] += float(u[k * w.other[axis]]);
        }
        for (int64_t i : at) x[i * w.step] = T(sums[size_t(i)]);
      }
    });
  });
}

}  // namespace treadle::backend::cpu
