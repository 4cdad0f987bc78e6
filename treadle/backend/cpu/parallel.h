// Loops spread over threads. This and parallel.cpp are the only files that know
// OpenMP; a build with TREADLE_THREADS=std uses plain threads instead.
#pragma once

#include <cstdint>
#include <type_traits>

namespace treadle::backend::cpu {

namespace detail {
using Range = void (*)(void* body, int64_t begin, int64_t end);
void parallel_ranges(int threads, int64_t count, Range range, void* body);
}  // namespace detail

// Calls body(begin, end) for at most `threads` ranges that make up [0, count),
// in order and of nearly equal length, each on a thread of its own; the last
// thing a range wrote is seen by the caller. How the loop is cut must not show
// in the result: ranges write to places of their own. An exception from `body`
// is thrown here, once all ranges are done. Runs on the caller alone when
// threads is 1.
template <class F>
void parallel_for(int threads, int64_t count, F&& body) {
  if (threads <= 1 || count <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  using Body = std::remove_reference_t<F>;
  detail::parallel_ranges(
      threads,
      count,
      [](void* b, int64_t begin, int64_t end) {
        (*static_cast<Body*>(b))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// In this scope, on this thread, a library that opens OpenMP regions of its own
// uses `threads` threads.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int outer_;
};

// As many of `threads` as are worth waking for `bytes` of memory traffic.
inline int threads_for(int threads, int64_t bytes) {
  constexpr int64_t share = 1 << 17;
  int64_t useful = bytes / share;
  return useful < threads ? (useful < 1 ? 1 : static_cast<int>(useful))
                          : threads;
}

}  // namespace treadle::backend::cpu
