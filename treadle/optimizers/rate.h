// Learning rates: a number, or a schedule that gives one for each step.
#pragma once

#include <concepts>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "treadle/graph/array.h"

namespace treadle::optimizers {

// The value at a step: a scalar computed from the number of steps taken so far
// (uint64), in ops only, so that a compiled step follows it too. Holds any
// callable; those of schedules.h print themselves and compare by value.
class Schedule {
 public:
  Schedule() = default;  // none
  template <class F>
  requires(!std::same_as<F, Schedule> &&
           std::is_invocable_r_v<array, const F&, const array&>) Schedule(F f) {
    if constexpr (requires { f.to_string(); }) text_ = f.to_string();
    call_ = std::make_shared<const Call>(std::move(f));
  }

  array operator()(const array& step) const { return (*call_)(step); }
  explicit operator bool() const { return call_ != nullptr; }

  // "cosine_decay(init=0.1, decay_steps=20, end=0.0)" as in Python; "function"
  // for a callable that does not say what it is.
  std::string to_string() const { return text_.empty() ? "function" : text_; }
  // Other callables are equal to copies of themselves only.
  friend bool operator==(const Schedule& a, const Schedule& b) {
    return a.call_ == b.call_ || (!a.text_.empty() && a.text_ == b.text_);
  }

 private:
  using Call = std::function<array(const array&)>;
  std::shared_ptr<const Call> call_;
  std::string text_;
};

std::ostream& operator<<(std::ostream& out, const Schedule& schedule);

class Rate {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> Rate(T value) : value_(float(value)) {}
  Rate(const array& value) : value_(value) {}
  template <class F>
  requires std::is_invocable_r_v<array, const F&, const array&> Rate(F schedule)
      : schedule_(std::move(schedule)) {}

  const Schedule& schedule() const { return schedule_; }
  array at(const array& step) const {
    return schedule_ ? schedule_(step) : value_;
  }

 private:
  array value_;
  Schedule schedule_;
};

}  // namespace treadle::optimizers
