#include "treadle/backend/cpu/ref/pool.h"

#include <limits>
#include <type_traits>
#include <vector>

#include "treadle/backend/cpu/compare.h"
#include "treadle/backend/cpu/convert.h"
#include "treadle/backend/cpu/pool_problem.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

// What padding holds under a maximum.
template <class T>
T lowest() {
  if constexpr (std::is_same_v<T, bool>) {
    return false;
  } else if constexpr (std::is_integral_v<T>) {
    return std::numeric_limits<T>::min();
  } else {
    return T(-std::numeric_limits<float>::infinity());
  }
}

// The elements of a window: where they lie, and how many padding adds to them.
struct Window {
  std::vector<int64_t> at;
  int64_t padding = 0;
  int64_t elements() const { return int64_t(at.size()) + padding; }
};

// Calls f(out, window): the offset of each element of the result, and its
// window.
template <class F>
void for_each_window(const PoolProblem& p, F&& f) {
  std::vector<int64_t> offsets;
  Window window;
  PoolProblem::Lengths w;
  int64_t at = 0;
  for (int64_t n = 0; n < p.n; ++n) {
    for (w[0] = 0; w[0] < p.out[0]; ++w[0]) {
      for (w[1] = 0; w[1] < p.out[1]; ++w[1]) {
        for (w[2] = 0; w[2] < p.out[2]; ++w[2]) {
          p.elements_of(w, 0, p.in[0], &offsets);
          window.padding = p.elements(w) - int64_t(offsets.size());
          for (int64_t c = 0; c < p.channels; ++c) {
            window.at = offsets;
            for (int64_t& o : window.at) o += n * p.in[0] * p.in_row() + c;
            f(at++, window);
          }
        }
      }
    }
  }
}

template <class T>
void max_pool(const PoolProblem& p, const T* x, T* y) {
  for_each_window(p, [&](int64_t at, const Window& window) {
    T best = lowest<T>();
    for (int64_t i : window.at) {
      if (beats<true>(x[i], best)) best = x[i];
    }
    y[at] = best;
  });
}

template <class T>
void mean_pool(const PoolProblem& p, const T* x, T* y) {
  for_each_window(p, [&](int64_t at, const Window& window) {
    double sum = 0;
    for (int64_t i : window.at) sum += double(x[i]);
    y[at] = convert<T>(sum / double(window.elements()));
  });
}

// How many elements of a window equal its maximum, padding included.
template <class T>
double maxima(const Window& window, const T* x, T y) {
  double count = 0;
  for (int64_t i : window.at) count += x[i] == y;
  if (y == lowest<T>()) count += double(window.padding);
  return count;
}

template <class T>
void max_pool_grad(
    const PoolProblem& p, const T* x, const T* y, const T* ct, T* out) {
  std::vector<double> sum(size_t(p.n * p.in[0] * p.in_row()), 0);
  for_each_window(p, [&](int64_t at, const Window& window) {
    const double share = double(ct[at]) / maxima(window, x, y[at]);
    for (int64_t i : window.at) {
      if (is_nan(y[at])) {
        sum[size_t(i)] += double(y[at]);
      } else if (x[i] == y[at]) {
        sum[size_t(i)] += share;
      }
    }
  });
  for (size_t i = 0; i < sum.size(); ++i) out[i] = convert<T>(sum[i]);
}

template <class T>
void max_pool_pick(
    const PoolProblem& p, const T* x, const T* y, const T* t, T* out) {
  for_each_window(p, [&](int64_t at, const Window& window) {
    double sum = 0;
    for (int64_t i : window.at) {
      if (x[i] == y[at]) sum += double(t[i]);
    }
    out[at] =
        is_nan(y[at]) ? y[at] : convert<T>(sum / maxima(window, x, y[at]));
  });
}

template <class T>
void mean_pool_grad(const PoolProblem& p, const T* ct, T* out) {
  std::vector<double> sum(size_t(p.n * p.in[0] * p.in_row()), 0);
  for_each_window(p, [&](int64_t at, const Window& window) {
    for (int64_t i : window.at) {
      sum[size_t(i)] += double(ct[at]) / double(window.elements());
    }
  });
  for (size_t i = 0; i < sum.size(); ++i) out[i] = convert<T>(sum[i]);
}

template <class T>
inline constexpr bool is_real = std::is_floating_point_v<T> || is_half_type<T>;

template <class T>
const T* data(const Operand& x) {
  return static_cast<const T*>(x.data);
}

void run_pool(const Task& task) {
  const auto& op = static_cast<const Pool&>(task.op);
  const Operand &x = task.in[0], &y = task.out[0];
  const PoolProblem p(op.windows, x.shape, y.shape);
  visit_dtype(x.dtype, [&]<class T>() {
    if constexpr (!std::is_same_v<T, complex64_t>) {
      if (op.pool == PoolKind::max) {
        return max_pool(p, data<T>(x), static_cast<T*>(y.data));
      }
    }
    if constexpr (is_real<T>) {
      mean_pool(p, data<T>(x), static_cast<T*>(y.data));
    }
  });
}

void run_mean_pool_grad(const Task& task) {
  const auto& op = static_cast<const MeanPoolGrad&>(task.op);
  const Operand &ct = task.in[0], &out = task.out[0];
  const PoolProblem p(op.windows, out.shape, ct.shape);
  visit_dtype(ct.dtype, [&]<class T>() {
    if constexpr (is_real<T>) {
      mean_pool_grad(p, data<T>(ct), static_cast<T*>(out.data));
    }
  });
}

template <class O, bool grad>
void run_at_maxima(const Task& task) {
  const auto& op = static_cast<const O&>(task.op);
  const Operand &x = task.in[0], &y = task.in[1], &v = task.in[2];
  const PoolProblem p(op.windows, x.shape, y.shape);
  visit_dtype(x.dtype, [&]<class T>() {
    if constexpr (is_real<T>) {
      T* out = static_cast<T*>(task.out[0].data);
      if constexpr (grad) {
        max_pool_grad(p, data<T>(x), data<T>(y), data<T>(v), out);
      } else {
        max_pool_pick(p, data<T>(x), data<T>(y), data<T>(v), out);
      }
    }
  });
}

std::string pool_why_not(const Op& op,
                         std::span<const Spec> in,
                         std::span<const Spec>) {
  if (is_complex(in[0].dtype)) return "takes real dtypes";
  if (static_cast<const Pool&>(op).pool == PoolKind::mean &&
      !is_floating(in[0].dtype)) {
    return "takes floating dtypes for a mean";
  }
  return "";
}

std::string floating_why_not(const Op&,
                             std::span<const Spec> in,
                             std::span<const Spec>) {
  for (const Spec& s : in) {
    if (!is_floating(s.dtype) || s.dtype != in[0].dtype) {
      return "takes one floating dtype";
    }
  }
  return "";
}

}  // namespace

runtime::Kernel ref_pool() {
  return {.name = "ref::pool", .why_not = pool_why_not, .run = run_pool};
}
runtime::Kernel ref_mean_pool_grad() {
  return {.name = "ref::mean_pool_grad",
          .why_not = floating_why_not,
          .run = run_mean_pool_grad};
}
runtime::Kernel ref_max_pool_grad() {
  return {.name = "ref::max_pool_grad",
          .why_not = floating_why_not,
          .run = run_at_maxima<MaxPoolGrad, true>};
}
runtime::Kernel ref_max_pool_pick() {
  return {.name = "ref::max_pool_pick",
          .why_not = floating_why_not,
          .run = run_at_maxima<MaxPoolPick, false>};
}

}  // namespace treadle::backend::cpu
