#include "treadle/backend/cpu/chosen_products.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

#include "treadle/backend/cpu/index.h"
#include "treadle/backend/cpu/matmul.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/product_sums.h"
#include "treadle/ops/matmul.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

size_t workspace(const Task& task) {
  return ProductSums(task.in[0], task.in[1], task.out[0])
      .workspace(task.threads);
}

// Chosen matrices -------------------------------------------------------------

std::vector<int64_t> indices(const Operand& x, int64_t length) {
  std::vector<int64_t> out(size_t(size_of(x.shape)));
  load_indices(
      "gather_mm", x, 0, x.strides[0], int64_t(out.size()), length, out.data());
  return out;
}

// Half types that oneDNN multiplies fast are left to it, one product at a time.
// A sum of them needs a wider type.
bool one_by_one(const Task& task) {
  const Operand &x = task.in[0], &y = task.in[1];
  const Specs specs{{x.shape, x.dtype}, {y.shape, y.dtype}};
  return is_half(x.dtype) && task.in.size() == 4 && x.shape[1] > 1 &&
         x.shape[0] > 0 && y.shape[0] > 0 &&
         onednn_matmul().why_not(task.op, specs, {}).empty();
}

Operand matrix(const Operand& x, int64_t index) {
  Operand m = x;
  if (x.data) {
    m.data = static_cast<char*>(x.data) +
             index * x.strides[0] * int64_t(size_of(x.dtype));
  }
  m.shape = {x.shape[1], x.shape[2]};
  m.strides = {x.strides[1], x.strides[2]};
  m.contiguous = is_row_contiguous(m.shape, m.strides);
  return m;
}

// Calls f(task) for the product of matrices i and j, as one thread does it.
template <class F>
auto with_product(
    const Task& task, int64_t i, int64_t j, int64_t at, void* space, F f) {
  const Matmul op;
  const Operand in[] = {matrix(task.in[0], i), matrix(task.in[1], j)};
  const Operand out[] = {matrix(task.out[0], at)};
  return f(Task{op, in, out, {}, space, 1});
}

size_t space_of_one(const Task& task) {
  const size_t bytes = with_product(task, 0, 0, 0, nullptr, [](const Task& t) {
    return onednn_matmul().workspace(t);
  });
  return (bytes + 63) / 64 * 64;
}

size_t chosen_workspace(const Task& task) {
  return one_by_one(task) ? space_of_one(task) * size_t(task.threads)
                          : workspace(task);
}

void run_chosen(const Task& task) {
  const Operand &x = task.in[0], &y = task.in[1], &c = task.out[0];
  const std::vector<int64_t> i = indices(task.in[2], x.shape[0]);
  const std::vector<int64_t> j = indices(task.in[3], y.shape[0]);
  const int64_t count = int64_t(i.size());
  if (one_by_one(task)) {
    const runtime::Kernel kernel = onednn_matmul();
    const size_t space = space_of_one(task);
    const int threads = int(std::min<int64_t>(task.threads, count));
    Tasks tasks(count, threads);
    parallel_workers(threads, [&](int worker) {
      void* const at =
          static_cast<char*>(task.workspace) + size_t(worker) * space;
      for (int64_t p = 0; tasks.take(worker, &p);) {
        with_product(task, i[size_t(p)], j[size_t(p)], p, at, kernel.run);
      }
    });
    return;
  }
  ProductSums sums(x, y, c);
  const int64_t m = x.shape[1], k = x.shape[2], step = m * c.shape[2];
  auto add = [&](int64_t p) {
    sums.add(i[size_t(p)] * x.strides[0], j[size_t(p)] * y.strides[0], k);
  };
  if (task.in.size() == 4) {
    for (int64_t p = 0; p < count; ++p) {
      sums.start(p * step, m);
      add(p);
    }
  } else {
    // The products of each group, in order.
    const int64_t groups = c.shape[0];
    const std::vector<int64_t> g = indices(task.in[4], groups);
    std::vector<int64_t> next(size_t(groups) + 1, 0), order(size_t(count), 0);
    for (int64_t v : g) ++next[size_t(v) + 1];
    for (size_t v = 0; v < size_t(groups); ++v) next[v + 1] += next[v];
    const std::vector<int64_t> first = next;
    for (int64_t p = 0; p < count; ++p) {
      order[size_t(next[size_t(g[size_t(p)])]++)] = p;
    }
    for (int64_t v = 0; v < groups; ++v) {
      sums.start(v * step, m);
      for (int64_t p = first[size_t(v)]; p < first[size_t(v) + 1]; ++p) {
        add(order[size_t(p)]);
      }
    }
  }
  sums.run(task.workspace, task.threads);
}

// Segments --------------------------------------------------------------------

struct Segment {
  int64_t begin, end;
};

// Cut to [0, length).
std::vector<Segment> segments(const Operand& x, int64_t length) {
  std::vector<Segment> out(size_t(x.shape[0]));
  visit_dtype(x.dtype, [&]<class T>() {
    if constexpr (std::is_integral_v<T>) {
      auto cut = [&](int64_t i, int64_t column) -> int64_t {
        const T v = static_cast<const T*>(
            x.data)[i * x.strides[0] + column * x.strides[1]];
        if constexpr (std::is_signed_v<T>) {
          if (v < 0) return 0;
        }
        return uint64_t(v) > uint64_t(length) ? length : int64_t(v);
      };
      for (int64_t i = 0; i < x.shape[0]; ++i) {
        out[size_t(i)] = {cut(i, 0), cut(i, 1)};
      }
    }
  });
  return out;
}

void run_segment_products(const Task& task) {
  const Operand &a = task.in[0], &b = task.in[1], &c = task.out[0];
  const int64_t m = a.shape[0], n = b.shape[1];
  ProductSums sums(a, b, c);
  int64_t at = 0;
  for (const Segment& s : segments(task.in[2], a.shape[1])) {
    sums.start(at, m);
    sums.add(s.begin * a.strides[1], s.begin * b.strides[0], s.end - s.begin);
    at += m * n;
  }
  sums.run(task.workspace, task.threads);
}

// Between two neighbouring bounds all rows lie in the same segments.
void run_segment_rows(const Task& task) {
  const Operand &x = task.in[0], &c = task.in[1], &out = task.out[0];
  const int64_t rows = x.shape[0], n = c.shape[2];
  struct Bound {
    int64_t row;
    int64_t segment;
    bool opens;
  };
  std::vector<Bound> bounds;
  int64_t number = 0;
  for (const Segment& s : segments(task.in[2], rows)) {
    if (s.begin < s.end) {
      bounds.push_back({s.begin, number, true});
      bounds.push_back({s.end, number, false});
    }
    ++number;
  }
  std::sort(bounds.begin(), bounds.end(), [](const Bound& p, const Bound& q) {
    return p.row < q.row;
  });
  ProductSums sums(x, c, out);
  std::set<int64_t> open;
  int64_t row = 0;
  auto reach = [&](int64_t end) {
    if (end == row) return;
    sums.start(row * n, end - row);
    for (int64_t s : open) {
      sums.add(row * x.strides[0], s * c.strides[0], x.shape[1]);
    }
    row = end;
  };
  for (const Bound& b : bounds) {
    reach(b.row);
    if (b.opens) {
      open.insert(b.segment);
    } else {
      open.erase(b.segment);
    }
  }
  reach(rows);
  sums.run(task.workspace, task.threads);
}

runtime::Kernel kernel(std::string_view name,
                       void (*run)(const Task&),
                       size_t (*space)(const Task&) = workspace) {
  return {.name = name, .run = run, .workspace = space, .strided = true};
}

}  // namespace

runtime::Kernel chosen_products() {
  return kernel("cpu::gather_mm", run_chosen, chosen_workspace);
}
runtime::Kernel segment_products() {
  return kernel("cpu::segmented_mm", run_segment_products);
}
runtime::Kernel segment_rows() {
  return kernel("cpu::segment_rows", run_segment_rows);
}

}  // namespace treadle::backend::cpu
