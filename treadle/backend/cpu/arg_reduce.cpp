// A row is searched in blocks: first the largest key of each, then the place in
// the first block that has the largest of all. Blocks are units of work for
// threads.
#include "treadle/backend/cpu/arg_reduce.h"

#include <algorithm>

#include "treadle/backend/cpu/arg_search.h"
#include "treadle/backend/cpu/parallel.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  return is_complex(in[0].dtype) ? "complex numbers have no integer key" : "";
}

// x (outer, length, inner), row-contiguous.
struct Sizes {
  int64_t outer = 1, length = 1, inner = 1;
  int64_t width;
  explicit Sizes(const Task& task) : width(int64_t(size_of(task.in[0].dtype))) {
    const Shape& shape = task.in[0].shape;
    size_t axis = size_t(static_cast<const ArgReduce&>(task.op).axis);
    for (size_t i = 0; i < shape.size(); ++i) {
      (i < axis ? outer : i == axis ? length : inner) *= shape[i];
    }
  }
};

// Elements of a row that are searched together, and columns that are.
constexpr int64_t kBlock = 4096, kColumns = 512;
// Below this many elements a row is faster without vectors.
constexpr int64_t kShort = 24;

int64_t blocks_of(const Sizes& n) { return (n.length + kBlock - 1) / kBlock; }

size_t workspace(const Task& task) {
  Sizes n(task);
  return n.inner == 1 ? size_t(blocks_of(n)) * sizeof(int64_t) : 0;
}

uint32_t search_row(const KeySearch& s,
                    const char* row,
                    const Sizes& n,
                    int64_t* keys,
                    int threads) {
  auto length = [&](int64_t block) {
    return std::min(kBlock, n.length - block * kBlock);
  };
  const int64_t blocks = blocks_of(n);
  parallel_for(threads, blocks, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      keys[b] = s.largest(row + b * kBlock * n.width, length(b), s.order);
    }
  });
  int64_t best =
      std::max_element(keys, keys + blocks) - keys;  // the first of them
  return uint32_t(best * kBlock + s.first(row + best * kBlock * n.width,
                                          length(best),
                                          keys[best],
                                          s.order));
}

// Down the columns: [begin, end) of all outer * inner, within one outer
// position.
void search_columns(const KeySearch& s,
                    const char* x,
                    uint32_t* y,
                    const Sizes& n,
                    int64_t begin,
                    int64_t end) {
  alignas(64) int64_t best[kColumns];
  for (int64_t at = begin; at < end;) {
    int64_t outer = at / n.inner, column = at % n.inner;
    int64_t count = std::min({kColumns, end - at, n.inner - column});
    const char* first = x + (outer * n.length * n.inner + column) * n.width;
    std::fill_n(y + at, count, 0);
    // Below every key but NaN's opposite, which none has; equal keys leave row
    // 0.
    switch (n.width) {
      case 1:
        std::fill_n(reinterpret_cast<int8_t*>(best), count, INT8_MIN);
        break;
      case 2:
        std::fill_n(reinterpret_cast<int16_t*>(best), count, INT16_MIN);
        break;
      case 4:
        std::fill_n(reinterpret_cast<int32_t*>(best), count, INT32_MIN);
        break;
      default:
        std::fill_n(best, count, INT64_MIN);
    }
    for (int64_t r = 0; r < n.length; ++r) {
      s.meet(first + r * n.inner * n.width,
             count,
             uint32_t(r),
             best,
             y + at,
             s.order);
    }
    at += count;
  }
}

void run(const Task& task) {
  const auto& op = static_cast<const ArgReduce&>(task.op);
  const KeySearch s = key_search(task.in[0].dtype, op.reduce);
  const Sizes n(task);
  const char* x = static_cast<const char*>(task.in[0].data);
  auto* y = static_cast<uint32_t*>(task.out[0].data);
  const int64_t results = n.outer * n.inner;
  if (results == 0) return;
  const int threads = threads_for(task.threads, results * n.length * n.width);
  if (n.inner > 1) {
    parallel_for(threads, results, [&](int64_t begin, int64_t end) {
      search_columns(s, x, y, n, begin, end);
    });
  } else if (n.length > kBlock && n.outer < 4 * threads) {
    for (int64_t i = 0; i < n.outer; ++i) {
      y[i] = search_row(s,
                        x + i * n.length * n.width,
                        n,
                        static_cast<int64_t*>(task.workspace),
                        threads);
    }
  } else {
    parallel_for(threads, n.outer, [&](int64_t begin, int64_t end) {
      if (n.length < kShort) {
        const char* first = x + begin * n.length * n.width;
        return s.rows(first, end - begin, n.length, y + begin, s.order);
      }
      for (int64_t i = begin; i < end; ++i) {
        const char* row = x + i * n.length * n.width;
        int64_t key = s.largest(row, n.length, s.order);
        y[i] = uint32_t(s.first(row, n.length, key, s.order));
      }
    });
  }
}

}  // namespace

runtime::Kernel arg_reduce() {
  return {.name = "cpu::arg_reduce",
          .why_not = why_not,
          .run = run,
          .workspace = workspace};
}

}  // namespace treadle::backend::cpu
