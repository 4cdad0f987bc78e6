// Loads, stores, conversions and reductions for every type, one element at a
// time.

#include <algorithm>
#include <cstring>
#include <utility>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/vm.h"

namespace treadle::backend::cpu {
namespace {

using plan::Lane;

template <class Out, class In>
void convert_run(size_t n, void* out, const void* in) {
  const In* x = static_cast<const In*>(in);
  Out* y = static_cast<Out*>(out);
  for (size_t i = 0; i < n; ++i) y[i] = convert_lane<Out>(x[i]);
}

// Through the dtype and back to a lane, which rounds, wraps or tests for zero.
template <class T, class Out, class In>
void convert_through(size_t n, void* out, const void* in) {
  const In* x = static_cast<const In*>(in);
  Out* y = static_cast<Out*>(out);
  for (size_t i = 0; i < n; ++i)
    y[i] = convert_lane<Out>(convert_lane<T>(x[i]));
}

template <class T>
void fill_dtype(LaneTable* t) {
  constexpr int d = static_cast<int>(dtype_of<T>);
  using L = LaneType<plan::lane_of(dtype_of<T>)>;
  t->load[d] = convert_run<L, T>;
  t->store[d] = convert_run<T, L>;
  t->convert[static_cast<int>(Lane::f32)][d] = convert_through<T, L, float>;
  t->convert[static_cast<int>(Lane::f64)][d] = convert_through<T, L, double>;
  t->convert[static_cast<int>(Lane::i32)][d] =
      convert_through<T, L, Wrap<int32_t>>;
  t->convert[static_cast<int>(Lane::i64)][d] =
      convert_through<T, L, Wrap<int64_t>>;
  t->convert[static_cast<int>(Lane::u32)][d] = convert_through<T, L, uint32_t>;
  t->convert[static_cast<int>(Lane::u64)][d] = convert_through<T, L, uint64_t>;
  t->convert[static_cast<int>(Lane::c64)][d] =
      convert_through<T, L, complex64_t>;
}

// ---- reductions
// -----------------------------------------------------------------

template <ReduceKind K, class T>
struct Reducer {
  static constexpr bool additive =
      K == ReduceKind::sum || K == ReduceKind::prod;
  using Wide = std::conditional_t<
      std::same_as<T, float>,
      double,
      std::conditional_t<ComplexLane<T>, std::complex<double>, T>>;
  using Acc = std::conditional_t<additive, Wide, T>;

  static Acc start() {
    if constexpr (K == ReduceKind::sum) {
      return vm::constant(Acc(), 0);
    } else if constexpr (K == ReduceKind::prod) {
      return vm::constant(Acc(), 1);
    } else {
      constexpr bool low = K == ReduceKind::max;
      if constexpr (ComplexLane<T>) {
        constexpr float inf = std::numeric_limits<float>::infinity();
        return low ? Acc(-inf, -inf) : Acc(inf, inf);
      } else if constexpr (RealLane<T>) {
        constexpr T inf = std::numeric_limits<T>::infinity();
        return low ? -inf : inf;
      } else {
        using I = decltype(vm::bits(T()));
        return Acc(low ? std::numeric_limits<I>::min()
                       : std::numeric_limits<I>::max());
      }
    }
  }
  static Acc merged(Acc a, Acc b) {
    if constexpr (K == ReduceKind::sum) {
      return a + b;
    } else if constexpr (K == ReduceKind::prod) {
      return a * b;
    } else if constexpr (K == ReduceKind::max) {
      return vm::max(a, b);
    } else {
      return vm::min(a, b);
    }
  }

  static void init(size_t n, void* acc) {
    std::fill_n(static_cast<Acc*>(acc), n, start());
  }
  // Halves, so that the error grows with the logarithm of n.
  static Acc folded(const T* x, size_t n) {
    if (n > 32) {
      const size_t half = n / 2;
      return merged(folded(x, half), folded(x + half, n - half));
    }
    Acc a = start();
    for (size_t i = 0; i < n; ++i) a = merged(a, Acc(x[i]));
    return a;
  }
  static void fold(size_t n, void* acc, const void* in) {
    Acc* a = static_cast<Acc*>(acc);
    *a = merged(*a, folded(static_cast<const T*>(in), n));
  }
  static void rows(size_t rows, size_t n, void* out, const void* in) {
    const T* x = static_cast<const T*>(in);
    T* y = static_cast<T*>(out);
    for (size_t r = 0; r < rows; ++r, x += n) y[r] = T(folded(x, n));
  }
  static void add(size_t rows, size_t n, void* acc, const void* in) {
    Acc* a = static_cast<Acc*>(acc);
    const T* x = static_cast<const T*>(in);
    for (size_t r = 0; r < rows; ++r, x += n) {
      for (size_t i = 0; i < n; ++i) a[i] = merged(a[i], Acc(x[i]));
    }
  }
  static void merge(size_t n, void* acc, const void* other) {
    Acc* a = static_cast<Acc*>(acc);
    const Acc* b = static_cast<const Acc*>(other);
    for (size_t i = 0; i < n; ++i) a[i] = merged(a[i], b[i]);
  }
  static void finish(size_t n, void* out, const void* acc) {
    const Acc* a = static_cast<const Acc*>(acc);
    T* y = static_cast<T*>(out);
    for (size_t i = 0; i < n; ++i) y[i] = T(a[i]);
  }
};

template <ReduceKind K, Lane L>
void fill_reduce(LaneTable* t) {
  using R = Reducer<K, LaneType<L>>;
  t->reduce[static_cast<int>(K)][static_cast<int>(L)] = {
      sizeof(typename R::Acc),
      R::rows,
      R::init,
      R::fold,
      R::add,
      R::merge,
      R::finish};
}

template <Lane L>
void fill_reduce(LaneTable* t) {
  fill_reduce<ReduceKind::sum, L>(t);
  fill_reduce<ReduceKind::prod, L>(t);
  fill_reduce<ReduceKind::max, L>(t);
  fill_reduce<ReduceKind::min, L>(t);
}

void copy(size_t bytes, void* out, const void* in) {
  std::memcpy(out, in, bytes);
}

void expand(size_t rows, size_t n, size_t size, void* out, const void* in) {
  auto* x = static_cast<const char*>(in);
  auto* y = static_cast<char*>(out);
  for (size_t r = 0; r < rows; ++r, x += size) {
    for (size_t i = 0; i < n; ++i, y += size) std::memcpy(y, x, size);
  }
}

}  // namespace

void fill_scalar_moves(LaneTable* t) {
  for (int d = 0; d < kNumDtypes; ++d) {
    visit_dtype(static_cast<Dtype>(d), [&]<class T>() { fill_dtype<T>(t); });
  }
  fill_reduce<Lane::f32>(t);
  fill_reduce<Lane::f64>(t);
  fill_reduce<Lane::i32>(t);
  fill_reduce<Lane::i64>(t);
  fill_reduce<Lane::u32>(t);
  fill_reduce<Lane::u64>(t);
  fill_reduce<Lane::c64>(t);
  t->expand = expand;
  t->stream = copy;
  t->fence = [] {};
  t->vector_bytes = 16;
}

}  // namespace treadle::backend::cpu
