#include "treadle/runtime/profile.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "treadle/base/environment.h"
#include "treadle/plan/tape.h"

namespace treadle::runtime {

namespace {

struct Cost {
  double seconds = 0;
  int64_t calls = 0;
};

struct Costs {
  std::mutex mutex;
  std::map<std::string, Cost> by_label;
};

Costs& costs() {
  static auto* c = new Costs;
  return *c;
}

void print() {
  Costs& c = costs();
  std::lock_guard lock(c.mutex);
  std::vector<std::pair<std::string, Cost>> rows(c.by_label.begin(),
                                                 c.by_label.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  double total = 0;
  for (const auto& [label, cost] : rows) total += cost.seconds;
  for (const auto& [label, cost] : rows) {
    std::fprintf(stderr,
                 "time %9.3f ms %5.1f %% %7ld x %s\n",
                 cost.seconds * 1e3,
                 100 * cost.seconds / total,
                 static_cast<long>(cost.calls),
                 label.c_str());
  }
}

double now(const Task& task) {
  timespec t;
  clock_gettime(task.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC,
                &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

std::string label_of(const Kernel& kernel, const Task& task) {
  std::string s(kernel.name);
  if (const plan::Fused* f = as<plan::Fused>(task.op)) {
    s += fmt::format(
        "[{}] {}", f->tape.values.size(), treadle::to_string(task.space));
  }
  s += " (";
  for (const Operand& x : task.in) {
    s += fmt::format(" {}{}{}",
                     name_of(x.dtype),
                     treadle::to_string(x.shape),
                     x.contiguous ? "" : "'");
  }
  s += " ->";
  for (const Operand& y : task.out) {
    s += fmt::format(" {}{}", name_of(y.dtype), treadle::to_string(y.shape));
  }
  s += " )";
  if (task.follow) {
    const auto& f = static_cast<const plan::Fused&>(task.follow->op);
    s += fmt::format(" + tape[{}]", f.tape.values.size());
  }
  return s;
}

}  // namespace

bool profiling() {
  static const bool on = [] {
    const bool wanted =
        environment("TREADLE_VERBOSE").value_or("").find("time") !=
        std::string::npos;
    if (wanted) std::atexit(print);
    return wanted;
  }();
  return on;
}

TimedCall::TimedCall(const Kernel& kernel, const Task& task)
    : kernel_(kernel), task_(task), start_(now(task)) {}

TimedCall::~TimedCall() {
  const double seconds = now(task_) - start_;
  std::string label = label_of(kernel_, task_);
  Costs& c = costs();
  std::lock_guard lock(c.mutex);
  Cost& cost = c.by_label[std::move(label)];
  cost.seconds += seconds;
  ++cost.calls;
}

}  // namespace treadle::runtime
