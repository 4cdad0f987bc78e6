#include "treadle/backend/cpu/ref/reduce.h"

#include <algorithm>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/compare.h"
#include "treadle/backend/cpu/convert.h"
#include "treadle/ops/arg_reduce.h"
#include "treadle/ops/reduce.h"

namespace treadle::backend::cpu {

namespace {

using runtime::Operand;
using runtime::Task;

// In what a sum or product of T is kept. Sums are wider than the result, to be
// the more exact side of a comparison; integers wrap around.
template <class T, ReduceKind kind>
struct Accumulator {
  using type = uint64_t;
};
template <class T, ReduceKind kind>
requires(std::is_floating_point_v<T> ||
         is_half_type<T>) struct Accumulator<T, kind> {
  using type = std::
      conditional_t<kind == ReduceKind::sum || sizeof(T) == 8, double, float>;
};
template <ReduceKind kind>
struct Accumulator<complex64_t, kind> {
  using type = std::
      conditional_t<kind == ReduceKind::sum, std::complex<double>, complex64_t>;
};

template <class A, class T>
A widen(T x) {
  if constexpr (std::is_same_v<T, complex64_t>) {
    return A(x);
  } else {
    return static_cast<A>(x);
  }
}

template <class Out, class A>
Out narrow(A x) {
  if constexpr (std::is_same_v<Out, complex64_t>) {
    return Out(static_cast<float>(x.real()), static_cast<float>(x.imag()));
  } else {
    return convert<Out>(x);
  }
}

template <class T, class Out, ReduceKind kind>
Out reduce_one(const T* x, const Shape& shape, const Strides& strides) {
  if constexpr (kind == ReduceKind::sum || kind == ReduceKind::prod) {
    using A = typename Accumulator<T, kind>::type;
    A acc = kind == ReduceKind::sum ? A(0) : A(1);
    for (Rows<1> r(shape, {&strides, 1}); r.more(); r.next()) {
      for (int64_t i = 0; i < r.length(); ++i) {
        A v = widen<A>(x[r.offset(0) + i * r.step(0)]);
        if constexpr (kind == ReduceKind::sum) {
          acc += v;
        } else {
          acc *= v;
        }
      }
    }
    return narrow<Out>(acc);
  } else {
    T best = *x;
    for (Rows<1> r(shape, {&strides, 1}); r.more(); r.next()) {
      for (int64_t i = 0; i < r.length(); ++i) {
        T v = x[r.offset(0) + i * r.step(0)];
        if (beats<kind == ReduceKind::max>(v, best)) best = v;
      }
    }
    return narrow<Out>(best);
  }
}

// The outer walk is over the result, the inner one over the reduced axes.
template <class T, class Out, ReduceKind kind>
void reduce(const Reduce& op, const Operand& in, const Operand& out) {
  Shape inner_shape;
  Strides inner_strides, x_strides = in.strides;
  for (int a : op.axes) {
    inner_shape.push_back(in.shape[size_t(a)]);
    inner_strides.push_back(in.strides[size_t(a)]);
    x_strides[size_t(a)] = 0;
  }
  const T* x = static_cast<const T*>(in.data);
  Out* y = static_cast<Out*>(out.data);
  const Strides walked[] = {x_strides, out.strides};
  for (Rows<2> r(out.shape, walked); r.more(); r.next()) {
    for (int64_t i = 0; i < r.length(); ++i) {
      y[r.offset(1) + i * r.step(1)] = reduce_one<T, Out, kind>(
          x + r.offset(0) + i * r.step(0), inner_shape, inner_strides);
    }
  }
}

// The result of a sum or product of T (ops/reduce.cpp, accumulator).
template <class T>
using Summed = std::conditional_t<
    std::is_integral_v<T> && sizeof(T) < 4,
    std::conditional_t<std::is_unsigned_v<T> && !std::is_same_v<T, bool>,
                       uint32_t,
                       int32_t>,
    T>;

void run(const Task& task) {
  const auto& op = static_cast<const Reduce&>(task.op);
  const Operand &in = task.in[0], &out = task.out[0];
  visit_dtype(in.dtype, [&]<class T>() {
    switch (op.reduce) {
      case ReduceKind::sum:
        return reduce<T, Summed<T>, ReduceKind::sum>(op, in, out);
      case ReduceKind::prod:
        return reduce<T, Summed<T>, ReduceKind::prod>(op, in, out);
      case ReduceKind::max:
        return reduce<T, T, ReduceKind::max>(op, in, out);
      case ReduceKind::min:
        return reduce<T, T, ReduceKind::min>(op, in, out);
    }
  });
}

template <class T, bool is_max>
void arg_reduce(const Operand& in, const Operand& out, size_t axis) {
  const T* x = static_cast<const T*>(in.data);
  auto* y = static_cast<uint32_t*>(out.data);
  int64_t step = in.strides[axis], length = in.shape[axis];
  Strides x_strides = in.strides;
  x_strides[axis] = 0;
  const Strides walked[] = {x_strides, out.strides};
  for (Rows<2> r(out.shape, walked); r.more(); r.next()) {
    for (int64_t i = 0; i < r.length(); ++i) {
      const T* row = x + r.offset(0) + i * r.step(0);
      int64_t best = 0;
      for (int64_t j = 1; j < length; ++j) {
        if (beats<is_max>(row[j * step], row[best * step])) best = j;
      }
      y[r.offset(1) + i * r.step(1)] = static_cast<uint32_t>(best);
    }
  }
}

void run_arg_reduce(const Task& task) {
  const auto& op = static_cast<const ArgReduce&>(task.op);
  size_t axis = static_cast<size_t>(op.axis);
  visit_dtype(task.in[0].dtype, [&]<class T>() {
    if (op.reduce == ArgKind::max) {
      arg_reduce<T, true>(task.in[0], task.out[0], axis);
    } else {
      arg_reduce<T, false>(task.in[0], task.out[0], axis);
    }
  });
}

}  // namespace

runtime::Kernel ref_reduce() {
  return {.name = "ref::reduce", .run = run, .strided = true};
}

runtime::Kernel ref_arg_reduce() {
  return {.name = "ref::arg_reduce", .run = run_arg_reduce, .strided = true};
}

}  // namespace treadle::backend::cpu
