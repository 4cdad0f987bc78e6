// The kth element is found by counting digits of the keys, the highest first,
// among those that agree so far; then one pass writes the positions. Both take
// time in proportion to the length, whatever the elements are.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/sort.h"
#include "treadle/backend/cpu/sort_keys.h"
#include "treadle/ops/sort.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Task;

constexpr int kDigit = 11;

// The keys of a row in unsigned order; -0 and 0 have one.
template <class U>
void load_keys(Dtype dtype, const void* x, int64_t n, U* keys) {
  using S = std::make_signed_t<U>;
  constexpr U top = U(U(1) << (8 * sizeof(U) - 1));
  if (is_floating(dtype)) {
    float_keys(dtype, x, n, keys);
    for (int64_t i = 0; i < n; ++i)
      keys[i] = U((S(keys[i]) == -1 ? U(0) : keys[i]) ^ top);
    return;
  }
  std::memcpy(keys, x, size_t(n) * sizeof(U));
  if (!is_signed_integer(dtype)) return;
  for (int64_t i = 0; i < n; ++i) keys[i] = U(keys[i] ^ top);
}

// The kth smallest key, and how many equal ones come before it.
template <class U>
struct Pivot {
  U key;
  int64_t equal;
};
template <class U>
Pivot<U> find(const U* keys, int64_t n, int64_t kth, U* left) {
  const U* from = keys;
  for (int end = 8 * int(sizeof(U)); end > 0;) {
    const int shift = std::max(0, end - kDigit);
    const U mask = U((uint64_t{1} << (end - shift)) - 1);
    auto digit = [&](U key) { return U(key >> shift) & mask; };
    uint32_t count[1 << kDigit] = {};
    for (int64_t i = 0; i < n; ++i) ++count[digit(from[i])];
    U wanted = 0;
    for (; kth >= count[wanted]; ++wanted) kth -= count[wanted];
    int64_t kept = 0;
    for (int64_t i = 0; i < n; ++i) {
      const U key = from[i];
      left[kept] = key;
      kept += digit(key) == wanted;
    }
    from = left;
    n = kept;
    end = shift;
  }
  return {left[0], kth};
}

template <class U>
void row(Dtype dtype,
         const void* x,
         int64_t n,
         int64_t kth,
         U* memory,
         uint32_t* y) {
  U* const keys = memory;
  load_keys(dtype, x, n, keys);
  // One more than n: a key is written before it is known to stay.
  const Pivot<U> pivot = find(keys, n, kth, keys + n);
  int64_t before = 0, behind = kth + 1, equal = 0;
  for (int64_t i = 0; i < n; ++i) {
    bool less = keys[i] < pivot.key;
    if (keys[i] == pivot.key) {
      if (equal == pivot.equal) {
        ++equal;
        y[kth] = uint32_t(i);
        continue;
      }
      less = equal < pivot.equal;
      ++equal;
    }
    y[less ? before : behind] = uint32_t(i);
    before += less;
    behind += !less;
  }
}

template <class U>
int64_t row_memory(int64_t n) {
  return (2 * n + 1) * int64_t(sizeof(U));
}

struct Sizes {
  int64_t length, rows;
  explicit Sizes(const Task& task)
      : length(task.in[0].shape.back()),
        rows(length ? size_of(task.in[0].shape) / length : 0) {}
  int workers(int threads) const {
    return int(std::clamp<int64_t>(rows, 1, threads));
  }
};

template <class F>
void visit_keys(Dtype dtype, F&& f) {
  switch (size_of(dtype)) {
    case 1:
      return f(uint8_t());
    case 2:
      return f(uint16_t());
    case 4:
      return f(uint32_t());
    default:
      return f(uint64_t());
  }
}

void run(const Task& task) {
  const Sizes n(task);
  if (n.rows == 0) return;
  const int64_t kth = static_cast<const ArgPartition&>(task.op).kth;
  const Dtype dtype = task.in[0].dtype;
  const char* x = static_cast<const char*>(task.in[0].data);
  uint32_t* y = static_cast<uint32_t*>(task.out[0].data);
  visit_keys(dtype, [&]<class U>(U) {
    const int64_t step = (row_memory<U>(n.length) + 63) / 64 * 64;
    const int workers = n.workers(task.threads);
    Tasks tasks(n.rows, workers);
    parallel_workers(workers, [&](int worker) {
      U* memory = reinterpret_cast<U*>(static_cast<char*>(task.workspace) +
                                       worker * step);
      for (int64_t i = 0; tasks.take(worker, &i);) {
        row(dtype,
            x + i * n.length * int64_t(sizeof(U)),
            n.length,
            kth,
            memory,
            y + i * n.length);
      }
    });
  });
}

size_t workspace(const Task& task) {
  const Sizes n(task);
  size_t bytes = 0;
  visit_keys(task.in[0].dtype, [&]<class U>(U) {
    bytes = size_t((row_memory<U>(n.length) + 63) / 64 * 64);
  });
  return bytes * size_t(n.workers(task.threads));
}

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  return is_complex(in[0].dtype) ? "complex numbers have no integer key" : "";
}

}  // namespace

runtime::Kernel argpartition() {
  return {.name = "cpu::argpartition",
          .why_not = why_not,
          .run = run,
          .workspace = workspace};
}

}  // namespace treadle::backend::cpu
