// Blocks of the vector are counted, and then each writes its places from where
// those of the blocks before it end.
#include "treadle/backend/cpu/true_places.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/ops/true_places.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Task;

constexpr int64_t kBlock = 1 << 16;

// Truth values are bytes; memory viewed as such may hold any.
int64_t count_true(const uint8_t* x, int64_t n) {
  return n - std::count(x, x + n, uint8_t{0});
}

// The places of the true elements of x, whose first element is at `from`, while
// there is room; the number that was written.
template <class T>
int64_t write_places(
    const uint8_t* x, int64_t n, int64_t from, T* out, int64_t room) {
  // Without branches, one place may be written beyond those that count.
  constexpr int64_t kSome = 1024;
  T some[kSome + 1];
  int64_t written = 0;
  for (int64_t i = 0; i < n && written < room; i += kSome) {
    const int64_t m = std::min(kSome, n - i);
    int64_t found = 0;
    int64_t k = 0;
    for (; k + 8 <= m; k += 8) {
      uint64_t eight;
      std::memcpy(&eight, x + i + k, 8);
      if (eight == 0) continue;
      for (int64_t j = k; j < k + 8; ++j) {
        some[found] = static_cast<T>(from + i + j);
        found += x[i + j] != 0;
      }
    }
    for (; k < m; ++k) {
      some[found] = static_cast<T>(from + i + k);
      found += x[i + k] != 0;
    }
    found = std::min(found, room - written);
    std::copy_n(some, found, out + written);
    written += found;
  }
  return written;
}

template <class T>
void run_as(const Task& task) {
  const auto* x = static_cast<const uint8_t*>(task.in[0].data);
  const int64_t n = size_of(task.in[0].shape);
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  const auto length = [&](int64_t b) {
    return std::min(kBlock, n - b * kBlock);
  };
  std::vector<int64_t> before(static_cast<size_t>(blocks + 1), 0);
  parallel_tasks(task.threads, blocks, [&](int64_t b) {
    before[static_cast<size_t>(b + 1)] = count_true(x + b * kBlock, length(b));
  });
  std::partial_sum(before.begin(), before.end(), before.begin());
  if (T* number = static_cast<T*>(task.out[1].data))
    *number = static_cast<T>(before.back());
  T* out = static_cast<T*>(task.out[0].data);
  if (!out) return;
  const int64_t room = size_of(task.out[0].shape);
  parallel_tasks(task.threads, blocks, [&](int64_t b) {
    const int64_t at = before[static_cast<size_t>(b)];
    if (at < room)
      write_places(x + b * kBlock, length(b), b * kBlock, out + at, room - at);
  });
  if (before.back() < room) std::fill(out + before.back(), out + room, T{0});
}

void run(const Task& task) {
  task.out[0].dtype == int32 ? run_as<int32_t>(task) : run_as<int64_t>(task);
}

std::string why_not(const Op&, std::span<const Spec>, std::span<const Spec>) {
  return "";
}

}  // namespace

runtime::Kernel true_places() {
  runtime::Kernel k;
  k.name = "cpu::true_places";
  k.why_not = why_not;
  k.run = run;
  return k;
}

}  // namespace treadle::backend::cpu
