// Elements become integer keys, which Highway's quicksort puts in order; for
// positions the keys carry them in their lower halves, which makes the order
// stable. Rows are spread over threads, or the parts of one long row are.
#include "treadle/backend/cpu/sort.h"

#include <algorithm>
#include <cstring>

#include "treadle/backend/cpu/merge.h"
#include "treadle/backend/cpu/order.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/sort_keys.h"
#include "treadle/backend/cpu/vector_sort.h"
#include "treadle/ops/sort.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

// A 64-bit key and its place.
struct Pair {
  hwy::uint128_t bits;  // hi: the key, lo: the place
  friend bool operator<(const Pair& a, const Pair& b) {
    return a.bits.hi < b.bits.hi ||
           (a.bits.hi == b.bits.hi && a.bits.lo < b.bits.lo);
  }
};

// Quicksort with vectors begins to pay off.
constexpr int64_t kFew = 24;
// A row of which threads take parts.
constexpr int64_t kLong = 1 << 17;

template <class K>
void sort_keys(K* keys, int64_t n) {
  if (n <= kFew) {
    for (int64_t i = 1; i < n; ++i) {
      K key = keys[i];
      int64_t k = i;
      for (; k > 0 && key < keys[k - 1]; --k) keys[k] = keys[k - 1];
      keys[k] = key;
    }
    return;
  }
  if constexpr (std::is_same_v<K, Pair>) {
    vector_sort(&keys->bits, size_t(n));
  } else {
    vector_sort(keys, size_t(n));
  }
}

// Few values: counted.
void sort_bytes(const uint8_t* x, int64_t n, bool is_signed, uint8_t* y) {
  int64_t count[256] = {};
  const uint8_t turn = is_signed ? 0x80 : 0;
  for (int64_t i = 0; i < n; ++i) ++count[x[i] ^ turn];
  for (int v = 0; v < 256; ++v) {
    std::memset(y, v ^ turn, size_t(count[v]));
    y += count[v];
  }
}

struct Sizes {
  int64_t length, rows;
  explicit Sizes(const Task& task)
      : length(task.in[0].shape.back()),
        rows(length ? size_of(task.in[0].shape) / length : 0) {}
  bool parts(int threads) const { return rows < threads && length >= kLong; }
};

// Calls f(row, worker) for all rows, a few at a time.
template <class F>
void for_rows(const Sizes& n, int threads, F&& f) {
  const int64_t few = std::max<int64_t>(1, (1 << 14) / n.length);
  const int64_t groups = (n.rows + few - 1) / few;
  threads = int(std::min<int64_t>(threads, groups));
  Tasks tasks(groups, threads);
  parallel_workers(threads, [&](int worker) {
    for (int64_t g = 0; tasks.take(worker, &g);) {
      const int64_t end = std::min(n.rows, (g + 1) * few);
      for (int64_t row = g * few; row < end; ++row) f(row, worker);
    }
  });
}

// K: the integer type of the keys.
template <class K>
void sort_values(const Task& task, const Sizes& n) {
  const Dtype dtype = task.in[0].dtype;
  const K* x = static_cast<const K*>(task.in[0].data);
  K* y = static_cast<K*>(task.out[0].data);
  const bool floating = is_floating(dtype);
  auto to_keys = [&](const K* from, int64_t count, K* to) {
    if (floating) {
      float_keys(dtype, from, count, to);
    } else if (from != to) {
      std::copy_n(from, count, to);
    }
  };
  if (!n.parts(task.threads)) {
    return for_rows(n, task.threads, [&](int64_t row, int) {
      K* keys = y + row * n.length;
      to_keys(x + row * n.length, n.length, keys);
      sort_keys(keys, n.length);
      if (floating) floats_of_keys(dtype, keys, n.length);
    });
  }
  K* buffer = static_cast<K*>(task.workspace);
  const bool odd = merge_rounds(n.length, task.threads) % 2;
  for (int64_t row = 0; row < n.rows; ++row) {
    const K* from = x + row * n.length;
    K* keys = y + row * n.length;
    parallel_for(task.threads, n.length, [&](int64_t begin, int64_t end) {
      to_keys(from + begin, end - begin, (odd ? buffer : keys) + begin);
    });
    parallel_sort(keys, buffer, n.length, task.threads, sort_keys<K>);
    if (!floating) continue;
    parallel_for(task.threads, n.length, [&](int64_t begin, int64_t end) {
      floats_of_keys(dtype, keys + begin, end - begin);
    });
  }
}

void run_sort(const Task& task) {
  const Sizes n(task);
  if (n.rows == 0) return;
  const Dtype dtype = task.in[0].dtype;
  switch (size_of(dtype)) {
    case 1: {
      const auto* x = static_cast<const uint8_t*>(task.in[0].data);
      auto* y = static_cast<uint8_t*>(task.out[0].data);
      return for_rows(n, task.threads, [&](int64_t row, int) {
        sort_bytes(
            x + row * n.length, n.length, dtype == int8, y + row * n.length);
      });
    }
    case 2:
      return dtype == uint16 ? sort_values<uint16_t>(task, n)
                             : sort_values<int16_t>(task, n);
    case 4:
      return dtype == uint32 ? sort_values<uint32_t>(task, n)
                             : sort_values<int32_t>(task, n);
    default:
      return dtype == uint64 ? sort_values<uint64_t>(task, n)
                             : sort_values<int64_t>(task, n);
  }
}

size_t sort_workspace(const Task& task) {
  const Sizes n(task);
  if (size_of(task.in[0].dtype) == 1 || !n.parts(task.threads)) return 0;
  return size_t(n.length) * size_of(task.in[0].dtype);
}

// positions -------------------------------------------------------------------

bool wide(const Task& task) { return size_of(task.in[0].dtype) == 8; }

void fill(const Task& task,
          int64_t at,
          int64_t begin,
          int64_t count,
          uint64_t* pairs) {
  const Dtype dtype = task.in[0].dtype;
  const char* x = static_cast<const char*>(task.in[0].data);
  keys_with_places(
      dtype, x + at * int64_t(size_of(dtype)), count, pairs + begin);
  if (begin == 0) return;
  for (int64_t i = begin; i < begin + count; ++i) pairs[i] += uint64_t(begin);
}

void fill(
    const Task& task, int64_t at, int64_t begin, int64_t count, Pair* pairs) {
  pairs += begin;
  const Dtype dtype = task.in[0].dtype;
  const auto* x = static_cast<const int64_t*>(task.in[0].data) + at;
  const uint64_t turn = dtype == uint64 ? 0 : uint64_t{1} << 63;
  constexpr int64_t kSome = 256;
  int64_t keys[kSome];
  for (int64_t from = 0; from < count; from += kSome) {
    const int64_t some = std::min(kSome, count - from);
    const int64_t* key = x + from;
    if (dtype == float64) {
      float_keys(dtype, key, some, keys);
      std::replace(keys, keys + some, int64_t{-1}, int64_t{0});  // -0
      key = keys;
    }
    for (int64_t i = 0; i < some; ++i) {
      auto& bits = pairs[from + i].bits;
      bits.hi = uint64_t(key[i]) ^ turn;
      bits.lo = uint64_t(begin + from + i);
    }
  }
}

uint32_t place_of(uint64_t pair) { return uint32_t(pair); }
uint32_t place_of(const Pair& pair) { return uint32_t(pair.bits.lo); }

template <class K>
void sort_places(const Task& task, const Sizes& n) {
  K* pairs = static_cast<K*>(task.workspace);
  uint32_t* y = static_cast<uint32_t*>(task.out[0].data);
  if (!n.parts(task.threads)) {
    return for_rows(n, task.threads, [&](int64_t row, int worker) {
      K* mine = pairs + worker * n.length;
      fill(task, row * n.length, 0, n.length, mine);
      sort_keys(mine, n.length);
      for (int64_t i = 0; i < n.length; ++i)
        y[row * n.length + i] = place_of(mine[i]);
    });
  }
  K* buffer = pairs + n.length;
  const bool odd = merge_rounds(n.length, task.threads) % 2;
  for (int64_t row = 0; row < n.rows; ++row) {
    parallel_for(task.threads, n.length, [&](int64_t begin, int64_t end) {
      fill(task,
           row * n.length + begin,
           begin,
           end - begin,
           odd ? buffer : pairs);
    });
    parallel_sort(pairs, buffer, n.length, task.threads, sort_keys<K>);
    parallel_for(task.threads, n.length, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        y[row * n.length + i] = place_of(pairs[i]);
    });
  }
}

void run_argsort(const Task& task) {
  const Sizes n(task);
  if (n.rows == 0) return;
  wide(task) ? sort_places<Pair>(task, n) : sort_places<uint64_t>(task, n);
}

size_t argsort_workspace(const Task& task) {
  const Sizes n(task);
  // One row for each worker; a long row has two copies.
  const int64_t copies =
      std::max<int64_t>(2, std::min<int64_t>(n.rows, task.threads));
  return size_t(copies * n.length) * (wide(task) ? sizeof(Pair) : 8);
}

// searchsorted ----------------------------------------------------------------

// Searches side by side: each waits for memory at every step.
constexpr int64_t kSearches = 8;

// For each of `count` values how many of x come before it. Halving without
// branches, `first` being before the answer or on it.
template <class T, class Before>
void find_places(const T* x,
                 int64_t n,
                 const T* values,
                 int64_t count,
                 Before before,
                 uint32_t* y) {
  int64_t first[kSearches] = {};
  T value[kSearches] = {};
  std::copy_n(values, count, value);
  while (n > 1) {
    const int64_t half = n / 2;
    for (int64_t i = 0; i < kSearches; ++i) {
      const bool past = before(x[first[i] + half - 1], value[i]);
      first[i] += half & -static_cast<int64_t>(past);
    }
    n -= half;
  }
  for (int64_t i = 0; i < count; ++i) {
    const bool past = n > 0 && before(x[first[i]], value[i]);
    y[i] = static_cast<uint32_t>(first[i] + past);
  }
}

void run_searchsorted(const Task& task) {
  const bool right = static_cast<const SearchSorted&>(task.op).right;
  const Operand &sequence = task.in[0], &values = task.in[1];
  uint32_t* y = static_cast<uint32_t*>(task.out[0].data);
  const int64_t count = size_of(values.shape);
  visit_dtype(sequence.dtype, [&]<class T>() {
    const T* x = static_cast<const T*>(sequence.data);
    const T* v = static_cast<const T*>(values.data);
    const int64_t n = sequence.shape[0];
    // A step into memory costs more than a few bytes of a row.
    const int threads = threads_for(task.threads, count * 64);
    const auto before = [&](const T& other, const T& value) {
      return right ? !comes_before(value, other) : comes_before(other, value);
    };
    parallel_for(threads, count, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i += kSearches) {
        find_places(x, n, v + i, std::min(kSearches, end - i), before, y + i);
      }
    });
  });
}

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  return is_complex(in[0].dtype) ? "complex numbers have no integer key" : "";
}

}  // namespace

runtime::Kernel sort() {
  return {.name = "cpu::sort",
          .why_not = why_not,
          .run = run_sort,
          .workspace = sort_workspace};
}
runtime::Kernel argsort() {
  return {.name = "cpu::argsort",
          .why_not = why_not,
          .run = run_argsort,
          .workspace = argsort_workspace};
}
runtime::Kernel searchsorted() {
  return {.name = "cpu::searchsorted", .run = run_searchsorted};
}

}  // namespace treadle::backend::cpu
