#include "treadle/backend/cpu/parallel.h"

#include <algorithm>
#include <exception>
#include <mutex>

#include "treadle/backend/cpu/team.h"

namespace treadle::backend::cpu {
namespace {

std::atomic<int> thread_limit{1 << 20};

// Keeps the first exception of several threads.
class FirstError {
 public:
  void keep() {
    std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
  void rethrow() {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace

void limit_threads(int limit) {
  thread_limit.store(std::max(1, limit), std::memory_order_relaxed);
}

int max_threads() {
  return std::min(thread_limit.load(std::memory_order_relaxed),
                  Team::get().size());
}

ThreadLimit::ThreadLimit(int threads) : outer_(Team::get().size()) {
  if (threads != outer_) Team::get().resize(threads);
}
ThreadLimit::~ThreadLimit() {
  if (outer_ != Team::get().size()) Team::get().resize(outer_);
}

namespace detail {

void run_workers(int threads, Worker worker, void* body) {
  threads = std::min(threads, thread_limit.load(std::memory_order_relaxed));
  if (threads <= 1 || Team::get().inside()) {
    worker(body, 0);
    return;
  }
  struct Job {
    Worker worker;
    void* body;
    FirstError error;
  } job{worker, body, {}};
  Team::get().run(
      threads,
      [](void* data, int number) {
        Job& j = *static_cast<Job*>(data);
        try {
          j.worker(j.body, number);
        } catch (...) {
          j.error.keep();
        }
      },
      &job);
  job.error.rethrow();
}

void parallel_ranges(int threads, int64_t count, Range range, void* body) {
  const int64_t n = std::min<int64_t>(threads, count);
  const int64_t each = count / n, more = count % n;
  parallel_tasks(static_cast<int>(n), n, [&](int64_t i) {
    const int64_t begin = i * each + std::min(i, more);
    range(body, begin, begin + each + (i < more));
  });
}

}  // namespace detail
}  // namespace treadle::backend::cpu
