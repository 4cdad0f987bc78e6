#include "treadle/backend/cpu/parallel.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

#ifdef TREADLE_THREADS_OPENMP
#include <omp.h>
#include <unistd.h>
#else
#include <condition_variable>
#include <vector>

#include <sched.h>
#endif

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

#ifdef TREADLE_THREADS_OPENMP

int max_threads() {
  return std::min(thread_limit.load(std::memory_order_relaxed),
                  omp_get_max_threads());
}

ThreadLimit::ThreadLimit(int threads) : outer_(omp_get_max_threads()) {
  if (threads != outer_) omp_set_num_threads(threads);
}
ThreadLimit::~ThreadLimit() {
  if (outer_ != omp_get_max_threads()) omp_set_num_threads(outer_);
}

namespace {

bool inside_parallel() { return omp_in_parallel() != 0; }

// libgomp lets a thread without work spin for 3 ms before it sleeps, which
// takes the processor from whoever has work (ten times the time on a busy
// machine). It spins for 10 us only while it knows of more threads than
// processors. So one thread more gets a team, of as many threads as that takes,
// which sleeps for good. Settings of the user's own are left alone.
void spin_briefly() {
  static const bool done = [] {
#ifndef __clang__
    const int extra = omp_get_num_procs() - omp_get_max_threads() + 1;
    if (extra > 0 && !std::getenv("OMP_WAIT_POLICY") &&
        !std::getenv("GOMP_SPINCOUNT")) {
      std::thread([extra] {
        std::atomic<int> started{0};  // an empty region would be left out
#pragma omp parallel num_threads(extra + 1)
        ++started;
        for (;;) ::pause();
      }).detach();
    }
#endif
    return true;
  }();
  (void)done;
}

template <class F>
void on_team(int threads, F&& f) {
  spin_briefly();
#pragma omp parallel num_threads(threads)
  f(omp_get_thread_num());
}

}  // namespace

#else

ThreadLimit::ThreadLimit(int threads) : outer_(threads) {}
ThreadLimit::~ThreadLimit() {}

namespace {

thread_local bool inside = false;
bool inside_parallel() { return inside; }

int processors() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    if (const int n = std::atoi(text); n > 0) return n;
  }
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// Threads that sleep until there is a job; each takes part in those that want
// more workers than its number.
class Pool {
 public:
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
  }

  void run(int workers, detail::Worker worker, void* body) {
    std::lock_guard one_job(job_mutex_);
    {
      std::lock_guard lock(mutex_);
      while (static_cast<int>(threads_.size()) < workers - 1) {
        const int number = static_cast<int>(threads_.size()) + 1;
        threads_.emplace_back(&Pool::loop, this, number, job_);
      }
      worker_ = worker;
      body_ = body;
      workers_ = workers;
      running_ = workers - 1;
      ++job_;
    }
    wake_.notify_all();
    inside = true;
    worker(body, 0);
    inside = false;
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return running_ == 0; });
  }

 private:
  void loop(int number, int64_t seen) {
    inside = true;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stop_ || job_ != seen; });
      if (stop_) return;
      seen = job_;
      if (number >= workers_) continue;
      const detail::Worker worker = worker_;
      void* body = body_;
      lock.unlock();
      worker(body, number);
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::mutex job_mutex_, mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  detail::Worker worker_ = nullptr;
  void* body_ = nullptr;
  int workers_ = 0;
  int running_ = 0;
  int64_t job_ = 0;
  bool stop_ = false;
};

template <class F>
void on_team(int threads, F&& f) {
  static Pool pool;
  pool.run(
      threads,
      [](void* b, int worker) {
        (*static_cast<std::remove_reference_t<F>*>(b))(worker);
      },
      detail::address_of(f));
}

}  // namespace

int max_threads() {
  static const int n = processors();
  return std::min(n, thread_limit.load(std::memory_order_relaxed));
}

#endif

namespace detail {

void run_workers(int threads, Worker worker, void* body) {
  threads = std::min(threads, thread_limit.load(std::memory_order_relaxed));
  if (threads <= 1 || inside_parallel()) {
    worker(body, 0);
    return;
  }
  FirstError error;
  on_team(threads, [&](int number) {
    try {
      worker(body, number);
    } catch (...) {
      error.keep();
    }
  });
  error.rethrow();
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
