// A task is a result along the first axis: one run of the input for each entry
// of its row, added up with their weights. With a second axis that run stays in
// the cache, and its parts are added up in turn.
#include "treadle/backend/cpu/banded.h"

#include <type_traits>
#include <vector>

#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/simd_targets.h"
#include "treadle/ops/banded.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/banded.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// to[c] = the sum over k of weight[k] from[k * step + c], c < n.
template <class T>
HWY_INLINE void weighted(const double* weight,
                         int64_t count,
                         const T* from,
                         int64_t step,
                         int64_t n,
                         T* to) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = int64_t(hn::Lanes(d));
  // The sum with -0 is what it was, sign and all.
  const T none = count > 0 ? T(-0.0) : T(0);
  int64_t c = 0;
  for (; c + 4 * lanes <= n; c += 4 * lanes) {
    auto a0 = hn::Set(d, none), a1 = a0, a2 = a0, a3 = a0;
    for (int64_t k = 0; k < count; ++k) {
      if (weight[k] == 0) continue;
      const auto w = hn::Set(d, static_cast<T>(weight[k]));
      const T* x = from + k * step + c;
      a0 = hn::MulAdd(w, hn::LoadU(d, x), a0);
      a1 = hn::MulAdd(w, hn::LoadU(d, x + lanes), a1);
      a2 = hn::MulAdd(w, hn::LoadU(d, x + 2 * lanes), a2);
      a3 = hn::MulAdd(w, hn::LoadU(d, x + 3 * lanes), a3);
    }
    hn::StoreU(a0, d, to + c);
    hn::StoreU(a1, d, to + c + lanes);
    hn::StoreU(a2, d, to + c + 2 * lanes);
    hn::StoreU(a3, d, to + c + 3 * lanes);
  }
  for (; c + lanes <= n; c += lanes) {
    auto a = hn::Set(d, none);
    for (int64_t k = 0; k < count; ++k) {
      if (weight[k] == 0) continue;
      a = hn::MulAdd(hn::Set(d, static_cast<T>(weight[k])),
                     hn::LoadU(d, from + k * step + c),
                     a);
    }
    hn::StoreU(a, d, to + c);
  }
  for (; c < n; ++c) {
    T a = none;
    for (int64_t k = 0; k < count; ++k) {
      if (weight[k] != 0) a += static_cast<T>(weight[k]) * from[k * step + c];
    }
    to[c] = a;
  }
}

void weighted_f32(const double* weight,
                  int64_t count,
                  const float* from,
                  int64_t step,
                  int64_t n,
                  float* to) {
  weighted(weight, count, from, step, n, to);
}
void weighted_f64(const double* weight,
                  int64_t count,
                  const double* from,
                  int64_t step,
                  int64_t n,
                  double* to) {
  weighted(weight, count, from, step, n, to);
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(weighted_f32);
HWY_EXPORT(weighted_f64);

namespace {

using runtime::Task;

// Row i of a band times a matrix with rows of n elements.
template <class T>
void multiply_row(const Band& b, int64_t i, const T* x, int64_t n, T* y) {
  const auto at = static_cast<size_t>(i);
  const double* weight = b.weight.data() + b.begin[at];
  const T* from = x + b.first[at] * n;
  if constexpr (std::is_same_v<T, float>) {
    HWY_DYNAMIC_DISPATCH(weighted_f32)(weight, b.width(i), from, n, n, y);
  } else {
    HWY_DYNAMIC_DISPATCH(weighted_f64)(weight, b.width(i), from, n, n, y);
  }
}

template <class T>
void run_as(const Task& task) {
  const auto& op = static_cast<const Banded&>(task.op);
  const Shape& shape = task.in[0].shape;
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < int(shape.size()); ++i) {
    if (i < op.axis) outer *= shape[size_t(i)];
    if (i >= op.axis + int(op.bands.size())) inner *= shape[size_t(i)];
  }
  const Band& rows = op.bands[0];
  const Band* columns = op.bands.size() > 1 ? &op.bands[1] : nullptr;
  const int64_t run = inner * (columns ? columns->in : 1);
  const int64_t result = inner * (columns ? columns->out() : 1);
  const T* x = static_cast<const T*>(task.in[0].data);
  T* y = static_cast<T*>(task.out[0].data);
  const int64_t bytes =
      outer * (rows.in * run + rows.out() * result) * int64_t(sizeof(T));
  parallel_for(threads_for(task.threads, bytes),
               outer * rows.out(),
               [&](int64_t begin, int64_t end) {
                 std::vector<T> between(columns ? size_t(run) : 0);
                 for (int64_t i = begin; i < end; ++i) {
                   const T* from = x + i / rows.out() * rows.in * run;
                   T* to = y + i * result;
                   T* sum = columns ? between.data() : to;
                   multiply_row(rows, i % rows.out(), from, run, sum);
                   if (!columns) continue;
                   for (int64_t j = 0; j < columns->out(); ++j)
                     multiply_row(*columns, j, sum, inner, to + j * inner);
                 }
               });
}

void run(const Task& task) {
  if (size_of(task.out[0].shape) == 0) return;
  task.in[0].dtype == float32 ? run_as<float>(task) : run_as<double>(task);
}

std::string why_not(const Op&,
                    std::span<const Spec> in,
                    std::span<const Spec>) {
  const Dtype t = in[0].dtype;
  return t == float32 || t == float64 ? "" : "neither float32 nor float64";
}

}  // namespace

runtime::Kernel banded() {
  runtime::Kernel k;
  k.name = "cpu::banded";
  k.why_not = why_not;
  k.run = run;
  return k;
}

}  // namespace treadle::backend::cpu
#endif
