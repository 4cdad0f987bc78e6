#include "treadle/runtime/executor.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include <pthread.h>

#include "treadle/runtime/backend.h"

namespace treadle::runtime {

namespace {

class JobEvent;
void help_until(const JobEvent& event);

class JobEvent : public Event {
 public:
  void wait() override {
    help_until(*this);
    std::unique_lock lock(mutex_);
    signalled_.wait(lock, [&] { return done_; });
  }
  bool done() const override {
    std::lock_guard lock(mutex_);
    return done_;
  }
  std::exception_ptr error() const override {
    std::lock_guard lock(mutex_);
    return error_;
  }
  void signal(std::exception_ptr error) {
    {
      std::lock_guard lock(mutex_);
      done_ = true;
      error_ = std::move(error);
    }
    signalled_.notify_all();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable signalled_;
  bool done_ = false;
  std::exception_ptr error_;
};

struct Job {
  std::function<void()> run;
  std::shared_ptr<JobEvent> event;
};

void run_job(Job& job) {
  std::exception_ptr error;
  try {
    job.run();
  } catch (...) {
    error = std::current_exception();
  }
  job.run = nullptr;  // what it held is freed before anyone is told
  job.event->signal(std::move(error));
}

// Libraries keep a team of workers for every thread that they are called from,
// and once there are more workers than processors all of them sleep after each
// loop instead of looking for the next for a while, which makes small loops
// several times slower. So one thread has a team as a rule: the executor's, or
// that of the helper, a thread that runs jobs while it waits. Who takes over
// from the other has the other's team dissolved.
void dissolve_team() { backend(Device::Type::cpu).dissolve_team(); }

// Whether this thread is the helper, until it ends or hands back.
class Helper {
 public:
  ~Helper() {
    if (mine_) taken = false;
  }
  bool allowed() { return mine_ || (mine_ = !taken.exchange(true)); }
  void hand_back() {
    if (!mine_) return;
    dissolve_team();
    mine_ = false;
    taken = false;
  }

 private:
  static inline std::atomic<bool> taken{false};
  bool mine_ = false;
};
thread_local Helper helper;

class Executor {
 public:
  Executor() : thread_([this] { loop(); }) {}

  std::shared_ptr<Event> push(std::function<void()> run, Awaited awaited) {
    if (awaited == Awaited::no) helper.hand_back();
    auto event = std::make_shared<JobEvent>();
    {
      std::lock_guard lock(mutex_);
      queue_.push_back({std::move(run), event});
      ++pending_;
      if (awaited == Awaited::no) own_ = kOwn;
      if (own_ > 0) {
        --own_;
        call();
      }
    }
    return event;
  }

  // Runs what is queued, up to the job of this event, on the calling thread.
  // Jobs run one at a time: while another thread is at one, it goes on with
  // those that follow, and there is nothing to do here but to wait.
  void help_until(const JobEvent& event) {
    std::unique_lock lock(mutex_);
    while (!called_ && !busy_ && !queue_.empty() && !event.done() &&
           helper.allowed()) {
      if (has_team_) {
        dissolve_ = true;
        wake_.notify_one();
      }
      next(lock);
    }
    if (!busy_ && !queue_.empty()) call();
  }

  void wake() {
    std::lock_guard lock(mutex_);
    call();
  }

  bool idle() const { return pending_.load(std::memory_order_acquire) == 0; }

  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      call();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  // After a job that nobody waited for, so many belong to the executor: a
  // program that starts work ahead of time does so again.
  static constexpr int kOwn = 64;
  // The first ones too: the thread that loads a model need not be the one that
  // uses it, and it would keep its team.
  static constexpr int kFirst = 8;

  // The executor is to run what is queued.
  void call() {
    called_ = true;
    wake_.notify_one();
  }

  void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return dissolve_ || (called_ && !busy_); });
      if (std::exchange(dissolve_, false)) {
        has_team_ = false;
        lock.unlock();
        dissolve_team();
        lock.lock();
        continue;
      }
      if (queue_.empty()) {
        if (stopping_) return;
        called_ = false;
        continue;
      }
      has_team_ = true;
      next(lock);
    }
  }

  // Runs the first job, without the lock.
  void next(std::unique_lock<std::mutex>& lock) {
    Job job = std::move(queue_.front());
    queue_.pop_front();
    busy_ = true;
    lock.unlock();
    run_job(job);
    job.event.reset();
    lock.lock();
    busy_ = false;
    pending_.fetch_sub(1, std::memory_order_release);
    if (called_) wake_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  std::atomic<int> pending_{0};
  int own_ = kFirst;       // jobs that the executor runs, whoever waits
  bool called_ = false;    // the executor is to run what is queued
  bool busy_ = false;      // some thread is at a job
  bool has_team_ = false;  // the executor's thread has, perhaps
  bool dissolve_ = false;  // and is to dissolve it
  bool stopping_ = false;
  std::thread thread_;
};

std::atomic<bool> inline_only{false};

// Never destroyed, since arrays may be evaluated by other statics; it is
// stopped at exit so that no kernel runs while the process is being taken down.
Executor& executor() {
  static Executor* e = [] {
    auto* made = new Executor;
    pthread_atfork(nullptr, nullptr, [] { inline_only = true; });
    std::atexit([] {
      if (!inline_only.exchange(true)) executor().stop();
    });
    return made;
  }();
  return *e;
}

void help_until(const JobEvent& event) {
  if (!inline_only) executor().help_until(event);
}

}  // namespace

std::shared_ptr<Event> enqueue(std::function<void()> job, Awaited awaited) {
  if (!inline_only) return executor().push(std::move(job), awaited);
  auto event = std::make_shared<JobEvent>();
  Job now{std::move(job), event};
  run_job(now);
  return event;
}

bool executor_idle() { return inline_only || executor().idle(); }
bool executor_available() { return !inline_only; }
void wake_executor() {
  if (!inline_only) executor().wake();
}
void drain() {
  enqueue([] {}, Awaited::yes)->wait();
}

}  // namespace treadle::runtime
