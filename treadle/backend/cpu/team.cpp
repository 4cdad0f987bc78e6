#include "treadle/backend/cpu/team.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <sched.h>

namespace treadle::backend::cpu {
namespace {

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
class Pool : public Team {
 public:
  ~Pool() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
  }

  int size() const override { return size_; }
  void resize(int) override {}
  bool inside() const override { return inside_; }

  void run(int workers, void (*worker)(void*, int), void* body) override {
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
    inside_ = true;
    worker(body, 0);
    inside_ = false;
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return running_ == 0; });
  }

 private:
  void loop(int number, int64_t seen) {
    inside_ = true;
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return stop_ || job_ != seen; });
      if (stop_) return;
      seen = job_;
      if (number >= workers_) continue;
      const auto worker = worker_;
      void* body = body_;
      lock.unlock();
      worker(body, number);
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  static inline thread_local bool inside_ = false;
  const int size_ = processors();
  std::mutex job_mutex_, mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> threads_;
  void (*worker_)(void*, int) = nullptr;
  void* body_ = nullptr;
  int workers_ = 0;
  int running_ = 0;
  int64_t job_ = 0;
  bool stop_ = false;
};

#ifdef TREADLE_THREADS_OPENMP

// How often libgomp has to look for work to look for so long. The fastest of
// some tries counts: one that another process interrupts would say that a few
// looks take that long, and threads would sleep between any two kernels.
int64_t looks_in(std::chrono::nanoseconds time) {
  constexpr int64_t kSample = 100;
  constexpr int kTries = 5;
  std::atomic<int> word{0};
  auto least = time * kSample;
  for (int k = 0; k < kTries; ++k) {
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < kSample; ++i) {
      if (word.load(std::memory_order_relaxed) != 0) break;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    least = std::min<std::chrono::nanoseconds>(
        least, std::chrono::steady_clock::now() - start);
  }
  return time * kSample / std::max(least, decltype(least){1});
}

// libgomp's threads, called by the names that compilers use for it.
class Gomp : public Team {
 public:
  // Loads libgomp, which reads its settings then. Left to itself it lets a
  // thread without work spin for 3 to 15 ms, which takes the processor from
  // others; the gaps between the kernels of a plan are far shorter. Settings of
  // the user's own are left alone.
  Gomp() {
    const bool set =
        std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT");
    if (!set) {
      const auto looks = looks_in(std::chrono::microseconds(100));
      ::setenv("GOMP_SPINCOUNT", std::to_string(looks).c_str(), 1);
    }
    if (void* library = dlopen("libgomp.so.1", RTLD_NOW | RTLD_LOCAL)) {
      find(library, "GOMP_parallel", &parallel_);
      find(library, "omp_get_thread_num", &thread_num_);
      find(library, "omp_get_max_threads", &max_threads_);
      find(library, "omp_set_num_threads", &set_num_threads_);
      find(library, "omp_in_parallel", &in_parallel_);
      find(library, "omp_pause_resource_all", &pause_);
    }
    if (!set) ::unsetenv("GOMP_SPINCOUNT");
  }

  bool found() const {
    return parallel_ && thread_num_ && max_threads_ && set_num_threads_ &&
           in_parallel_;
  }
  int size() const override { return max_threads_(); }
  void resize(int threads) override { set_num_threads_(threads); }
  bool inside() const override { return in_parallel_() != 0; }

  void run(int threads, void (*worker)(void*, int), void* body) override {
    struct Job {
      const Gomp* gomp;
      void (*worker)(void*, int);
      void* body;
    } job{this, worker, body};
    parallel_(
        [](void* data) {
          const Job& j = *static_cast<Job*>(data);
          j.worker(j.body, j.gomp->thread_num_());
        },
        &job,
        static_cast<unsigned>(threads),
        0);
  }
  void dissolve() override {
    constexpr int kSoft = 1;  // omp_pause_soft
    if (pause_) pause_(kSoft);
  }

 private:
  template <class F>
  static void find(void* library, const char* name, F* f) {
    *f = reinterpret_cast<F>(dlsym(library, name));
  }

  void (*parallel_)(void (*)(void*), void*, unsigned, unsigned) = nullptr;
  int (*thread_num_)() = nullptr;
  int (*max_threads_)() = nullptr;
  void (*set_num_threads_)(int) = nullptr;
  int (*in_parallel_)() = nullptr;
  int (*pause_)(int) = nullptr;
};

Team* make_team() {
  static Gomp gomp;
  if (gomp.found()) return &gomp;
  static Pool pool;
  return &pool;
}

#else

Team* make_team() {
  static Pool pool;
  return &pool;
}

#endif

}  // namespace

Team& Team::get() {
  static Team* team = make_team();
  return *team;
}

namespace {
// While the library is loaded no other thread of ours reads the environment.
[[maybe_unused]] const Team& made_early = Team::get();
}  // namespace

}  // namespace treadle::backend::cpu
