// Work spread over the threads of a team (team.h).
//
// How work is cut and who does it must not show in the result: tasks write to
// places of their own, and sums keep one partial result per task, not per
// thread. An exception is thrown in the caller once all threads are done. Calls
// from inside of another parallel call run on the calling thread alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace treadle::backend::cpu {

// How many threads may compute: OMP_NUM_THREADS, or the processors that this
// process may run on, and no more than the limit (1 in a forked child).
int max_threads();
void limit_threads(int limit);

namespace detail {
using Worker = void (*)(void* body, int worker);
void run_workers(int threads, Worker worker, void* body);
using Range = void (*)(void* body, int64_t begin, int64_t end);
void parallel_ranges(int threads, int64_t count, Range range, void* body);

template <class F>
void* address_of(F& f) {
  return const_cast<void*>(static_cast<const void*>(std::addressof(f)));
}
}  // namespace detail

// Calls body(worker) on up to `threads` threads at once, the caller among them
// as worker 0; fewer when the machine grants fewer.
template <class F>
void parallel_workers(int threads, F&& body) {
  if (threads <= 1) {
    body(0);
    return;
  }
  using Body = std::remove_reference_t<F>;
  detail::run_workers(
      threads,
      [](void* b, int worker) { (*static_cast<Body*>(b))(worker); },
      detail::address_of(body));
}

// The numbers 0 ... count - 1, each given once, to whichever worker asks. Each
// worker has a share of its own, in which it finds in its caches what it had in
// an earlier call; one that is done goes on with the shares of others.
class Tasks {
 public:
  Tasks(int64_t count, int workers)
      : shares_(workers < 1       ? 1
                : workers < kMost ? workers
                                  : kMost) {
    int64_t at = 0;
    for (int k = 0; k < shares_; ++k) {
      share_[k].next.store(at, std::memory_order_relaxed);
      share_[k].end = at += count / shares_ + (k < count % shares_);
    }
  }
  bool take(int worker, int64_t* task) {
    for (int k = 0; k < shares_; ++k) {
      Share& s = share_[(worker + k) % shares_];
      if (s.next.load(std::memory_order_relaxed) >= s.end) continue;
      *task = s.next.fetch_add(1, std::memory_order_relaxed);
      if (*task < s.end) return true;
    }
    return false;
  }

 private:
  static constexpr int kMost = 16;  // of shares; more workers divide them
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end;
  };
  const int shares_;
  Share share_[kMost];
};

// Calls body(task) for every task, each on whichever thread is free.
template <class F>
void parallel_tasks(int threads, int64_t count, F&& body) {
  if (threads > count) threads = static_cast<int>(count);
  if (threads <= 1) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  Tasks tasks(count, threads);
  parallel_workers(threads, [&](int worker) {
    for (int64_t i = 0; tasks.take(worker, &i);) body(i);
  });
}

// Calls body(begin, end) for at most `threads` ranges that make up [0, count),
// in order and of nearly equal length.
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
      detail::address_of(body));
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
