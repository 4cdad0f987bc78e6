// What a running sum, product, ... keeps of the elements met so far, and how
// two stretches of elements are put together. Each kind and element type T has
//
//   State start()          of no element
//   State lift(T x)        of one
//   State join(State a, State b)   a met before b; associative but for rounding
//   T value(State s)       the result
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "treadle/backend/cpu/compare.h"
#include "treadle/backend/cpu/convert.h"
#include "treadle/ops/cumulative.h"

namespace treadle::backend::cpu {

// Half types are summed in float32; integers as unsigned, which wrap around.
// Wide: the next better type, for the reference.
template <class T, bool Wide>
struct Wider {
  using type = T;
};
template <class T, bool Wide>
requires(is_half_type<T> || std::is_same_v<T, float>) struct Wider<T, Wide> {
  using type = std::conditional_t<Wide, double, float>;
};
template <bool Wide>
struct Wider<complex64_t, Wide> {
  using type = std::complex<std::conditional_t<Wide, double, float>>;
};
template <class T, bool Wide>
requires(std::is_integral_v<T> &&
         !std::is_same_v<T, bool>) struct Wider<T, Wide> {
  using type = std::make_unsigned_t<T>;
};

template <class A, class T>
A widened(T x) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return A(x);
  } else {
    return static_cast<A>(x);
  }
}

template <class T, class A>
T narrowed(A x) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return T(static_cast<float>(x.real()), static_cast<float>(x.imag()));
  } else if constexpr (std::is_integral_v<A>) {
    return static_cast<T>(x);
  } else {
    return convert<T>(x);
  }
}

template <CumulativeKind K, class T, bool Wide>
struct Steps;

template <class T, bool Wide>
struct Steps<CumulativeKind::sum, T, Wide> {
  using State = typename Wider<T, Wide>::type;
  static State start() { return State(0); }
  static State lift(T x) { return widened<State>(x); }
  static State join(State a, State b) { return State(a + b); }
  static T value(State s) { return narrowed<T>(s); }
};

template <class T, bool Wide>
struct Steps<CumulativeKind::prod, T, Wide> {
  using State = typename Wider<T, Wide>::type;
  static State start() { return State(1); }
  static State lift(T x) { return widened<State>(x); }
  static State join(State a, State b) {
    if constexpr (std::is_same_v<T, bool>) {
      return a && b;
    } else if constexpr (std::is_integral_v<T>) {
      // 16-bit factors would be multiplied as int, which may overflow.
      return State(uint64_t{a} * b);
    } else if constexpr (std::is_same_v<T, complex64_t>) {
      return State(a.real() * b.real() - a.imag() * b.imag(),
                   a.real() * b.imag() + a.imag() * b.real());
    } else {
      return a * b;
    }
  }
  static T value(State s) { return narrowed<T>(s); }
};

template <bool Max, class T>
struct Extreme {
  using State = std::conditional_t<is_half_type<T>, float, T>;
  static State start() {
    if constexpr (std::is_same_v<T, complex64_t>) {
      return T(limit<float>(), limit<float>());
    } else {
      return limit<State>();
    }
  }
  static State lift(T x) { return widened<State>(x); }
  static State join(State a, State b) { return beats<Max>(b, a) ? b : a; }
  static T value(State s) { return narrowed<T>(s); }

 private:
  template <class F>
  static F limit() {
    using L = std::numeric_limits<F>;
    if constexpr (std::is_floating_point_v<F>) {
      return Max ? -L::infinity() : L::infinity();
    } else {
      return Max ? L::lowest() : L::max();
    }
  }
};
template <class T, bool Wide>
struct Steps<CumulativeKind::max, T, Wide> : Extreme<true, T> {};
template <class T, bool Wide>
struct Steps<CumulativeKind::min, T, Wide> : Extreme<false, T> {};

// The largest element met, and the sum of exp(x - largest). Complex elements
// compare by their real parts.
template <class T, bool Wide>
struct Steps<CumulativeKind::logsumexp, T, Wide> {
  using A = typename Wider<T, Wide>::type;
  struct State {
    A largest, sum;
  };
  static auto size(A x) {
    if constexpr (std::is_same_v<T, complex64_t>) {
      return x.real();
    } else {
      return x;
    }
  }
  static State start() {
    using L = std::numeric_limits<decltype(size(A()))>;
    return {A(-L::infinity()), A(0)};
  }
  static State lift(T x) { return {widened<A>(x), A(1)}; }
  static State join(const State& a, const State& b) {
    // Also for two infinities, whose difference is NaN.
    if (a.largest == b.largest) return {a.largest, a.sum + b.sum};
    if (a.sum == A(0)) return b;
    if (b.sum == A(0)) return a;
    if (size(a.largest) > size(b.largest)) {
      return {a.largest, a.sum + b.sum * std::exp(b.largest - a.largest)};
    }
    return {b.largest, b.sum + a.sum * std::exp(a.largest - b.largest)};
  }
  static T value(const State& s) {
    return narrowed<T>(s.sum == A(0) ? s.largest : s.largest + std::log(s.sum));
  }
};

// Calls f with the Steps of a kind and dtype.
template <bool Wide, class F>
void visit_steps(CumulativeKind kind, Dtype dtype, F&& f) {
  visit_dtype(dtype, [&]<class T>() {
    switch (kind) {
      case CumulativeKind::sum:
        return f.template operator()<T, Steps<CumulativeKind::sum, T, Wide>>();
      case CumulativeKind::prod:
        return f.template operator()<T, Steps<CumulativeKind::prod, T, Wide>>();
      case CumulativeKind::max:
        return f.template operator()<T, Steps<CumulativeKind::max, T, Wide>>();
      case CumulativeKind::min:
        return f.template operator()<T, Steps<CumulativeKind::min, T, Wide>>();
      case CumulativeKind::logsumexp:
        if constexpr (std::is_integral_v<T>) {
          return;  // not recorded
        } else {
          return f.template
          operator()<T, Steps<CumulativeKind::logsumexp, T, Wide>>();
        }
    }
  });
}

}  // namespace treadle::backend::cpu
