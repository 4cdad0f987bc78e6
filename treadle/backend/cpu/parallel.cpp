#include "treadle/backend/cpu/parallel.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#ifdef TREADLE_THREADS_OPENMP
#include <omp.h>
#endif

namespace treadle::backend::cpu {

#ifdef TREADLE_THREADS_OPENMP
ThreadLimit::ThreadLimit(int threads) : outer_(omp_get_max_threads()) {
  if (threads != outer_) omp_set_num_threads(threads);
}
ThreadLimit::~ThreadLimit() {
  if (outer_ != omp_get_max_threads()) omp_set_num_threads(outer_);
}
#else
ThreadLimit::ThreadLimit(int threads) : outer_(threads) {}
ThreadLimit::~ThreadLimit() {}
#endif

namespace detail {

namespace {

// Range number i of n.
struct Piece {
  int64_t begin, end;
};
Piece piece(int64_t count, int64_t n, int64_t i) {
  int64_t each = count / n, more = count % n;
  int64_t begin = i * each + std::min(i, more);
  return {begin, begin + each + (i < more)};
}

}  // namespace

void parallel_ranges(int threads, int64_t count, Range range, void* body) {
  const int64_t n = std::min<int64_t>(threads, count);
  std::exception_ptr error;
  std::mutex error_mutex;
  auto run = [&](int64_t i) {
    try {
      Piece p = piece(count, n, i);
      range(body, p.begin, p.end);
    } catch (...) {
      std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
    }
  };
#ifdef TREADLE_THREADS_OPENMP
  // With a loop, all ranges run even when fewer threads are granted.
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(n))
  for (int64_t i = 0; i < n; ++i) run(i);
#else
  std::vector<std::thread> others;
  for (int64_t i = 1; i < n; ++i) others.emplace_back(run, i);
  run(0);
  for (std::thread& t : others) t.join();
#endif
  if (error) std::rethrow_exception(error);
}

}  // namespace detail

}  // namespace treadle::backend::cpu
