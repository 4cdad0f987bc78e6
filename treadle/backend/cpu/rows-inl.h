// Turns rows of elementwise.def into loops over runs of SIMD lanes, once per
// instruction set. A tail shorter than a vector is computed by the same vector
// code, so a value does not depend on where a run begins or ends.
#include <cstring>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/vm-inl.h"
#include "treadle/backend/cpu/vm_wide-inl.h"

#if defined(TREADLE_BACKEND_CPU_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TREADLE_BACKEND_CPU_ROWS_INL_H_
#undef TREADLE_BACKEND_CPU_ROWS_INL_H_
#else
#define TREADLE_BACKEND_CPU_ROWS_INL_H_
#endif

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {

// ---- reading and writing runs
// ----------------------------------------------------

// The first n lanes of a vector, n less than a whole one; no byte beyond is
// touched.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load_some(D d, const T* p, size_t n) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  if constexpr (sizeof(T) >= 4) return hn::MaskedLoad(hn::FirstN(d, n), d, p);
#endif
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)] = {};
  std::memcpy(lanes, p, n * sizeof(T));
  return hn::Load(d, lanes);
}
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store_some(hn::Vec<D> v, D d, T* p, size_t n) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  if constexpr (sizeof(T) >= 4) {
    hn::BlendedStore(v, hn::FirstN(d, n), d, p);
    return;
  }
#endif
  HWY_ALIGN T lanes[HWY_MAX_BYTES / sizeof(T)];
  hn::Store(v, d, lanes);
  std::memcpy(p, lanes, n * sizeof(T));
}

// How values of a kind lie in a run: vectors as their lanes, masks as u32.
template <class V>
struct Run;

template <class T>
struct Run<Vec<T>> {
  using Element = T;
  using D = Tag<T>;
  static HWY_INLINE Vec<T> wrap(hn::Vec<D> v) { return {v}; }
  static HWY_INLINE hn::Vec<D> unwrap(Vec<T> v) { return v.v; }
};

template <class T>
struct Run<Mask<T>> {
  using Element = uint32_t;
  using D = hn::Rebind<uint32_t, Tag<T>>;
  static HWY_INLINE Mask<T> wrap(hn::Vec<D> v) {
    if constexpr (sizeof(T) == 4) {
      return {hn::RebindMask(Tag<T>(), hn::Ne(v, hn::Zero(D())))};
    } else {
      const Tag<uint64_t> du;
      const auto wide = hn::PromoteTo(du, v);
      return {hn::RebindMask(Tag<T>(), hn::Ne(wide, hn::Zero(du)))};
    }
  }
  static HWY_INLINE hn::Vec<D> unwrap(Mask<T> m) {
    using U = hwy::MakeUnsigned<T>;
    const Tag<U> du;
    const auto v =
        hn::IfThenElseZero(hn::RebindMask(du, m.m), hn::Set(du, U{1}));
    if constexpr (sizeof(T) == 4) {
      return v;
    } else {
      return hn::TruncateTo(D(), v);
    }
  }
};

// Walks an operand, or stands still on a splat.
template <class V>
class Reader {
 public:
  using R = Run<V>;
  Reader(const void* p, bool splat)
      : p_(static_cast<const typename R::Element*>(p)),
        step_(splat ? 0 : hn::Lanes(typename R::D())) {}
  HWY_INLINE V next() {
    const auto v = hn::LoadU(typename R::D(), p_);
    p_ += step_;
    return R::wrap(v);
  }
  HWY_INLINE V rest(size_t n) {
    if (step_ == 0) return next();
    return R::wrap(load_some(typename R::D(), p_, n));
  }

 private:
  const typename R::Element* p_;
  size_t step_;
};

// Writes a run, past the caches if asked and if lanes are vectors themselves.
template <class V>
class Writer {
 public:
  using R = Run<V>;
  Writer(void* p, unsigned flags)
      : p_(static_cast<typename R::Element*>(p)),
        stream_(flags & kStreamFlag) {}
  HWY_INLINE void next(V v) {
    const typename R::D d;
    if (HWY_UNLIKELY(stream_)) {
      hn::Stream(R::unwrap(v), d, p_);
    } else {
      hn::StoreU(R::unwrap(v), d, p_);
    }
    p_ += hn::Lanes(d);
  }
  HWY_INLINE void rest(V v, size_t n) {
    store_some(R::unwrap(v), typename R::D(), p_, n);
  }

 private:
  typename R::Element* p_;
  bool stream_;
};

// ---- rows
// ------------------------------------------------------------------------

#define UNARY(name, rule, lane, ...) \
  struct Row_##name {                \
    template <class V>               \
    static HWY_INLINE auto of(V x) { \
      return lane;                   \
    }                                \
  };
#define BINARY(name, rule, lane, ...)     \
  struct Row_##name {                     \
    template <class V>                    \
    static HWY_INLINE auto of(V a, V b) { \
      return lane;                        \
    }                                     \
  };
#define TERNARY(name, rule, lane, ...)         \
  struct Row_##name {                          \
    template <class M, class V>                \
    static HWY_INLINE auto of(M a, V b, V c) { \
      return lane;                             \
    }                                          \
  };
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY

template <class F, class T>
void unary(size_t n,
           void* out,
           const void* a,
           const void*,
           const void*,
           unsigned flags) {
  const size_t lanes = hn::Lanes(Tag<T>());
  Reader<Vec<T>> x(a, flags & 1);
  Writer<decltype(F::of(x.next()))> y(out, flags);
  for (; n >= lanes; n -= lanes) y.next(F::of(x.next()));
  if (n > 0) y.rest(F::of(x.rest(n)), n);
}

template <class F, class T>
void binary(size_t n,
            void* out,
            const void* a,
            const void* b,
            const void*,
            unsigned flags) {
  const size_t lanes = hn::Lanes(Tag<T>());
  Reader<Vec<T>> pa(a, flags & 1), pb(b, flags & 2);
  Writer<decltype(F::of(pa.next(), pb.next()))> y(out, flags);
  for (; n >= lanes; n -= lanes) {
    const Vec<T> va = pa.next();
    y.next(F::of(va, pb.next()));
  }
  if (n > 0) {
    const Vec<T> va = pa.rest(n);
    y.rest(F::of(va, pb.rest(n)), n);
  }
}

template <class F, class T>
void ternary(size_t n,
             void* out,
             const void* a,
             const void* b,
             const void* c,
             unsigned flags) {
  const size_t lanes = hn::Lanes(Tag<T>());
  Reader<Mask<T>> pa(a, flags & 1);
  Reader<Vec<T>> pb(b, flags & 2), pc(c, flags & 4);
  Writer<Vec<T>> y(out, flags);
  for (; n >= lanes; n -= lanes) {
    const Mask<T> va = pa.next();
    const Vec<T> vb = pb.next();
    y.next(F::of(va, vb, pc.next()));
  }
  if (n > 0) {
    const Mask<T> va = pa.rest(n);
    const Vec<T> vb = pb.rest(n);
    y.rest(F::of(va, vb, pc.rest(n)), n);
  }
}

// Enters the rows that Covers names for lanes of type T (lane number `lane`).
template <class T, class Covers>
void fill_rows(LaneTable* t, plan::Lane lane) {
  const int l = static_cast<int>(lane);
#define UNARY(name, ...)                                           \
  if constexpr (Covers::has(Row::name)) {                          \
    t->row[static_cast<int>(Row::name)][l] = unary<Row_##name, T>; \
  }
#define BINARY(name, ...)                                           \
  if constexpr (Covers::has(Row::name)) {                           \
    t->row[static_cast<int>(Row::name)][l] = binary<Row_##name, T>; \
  }
#define TERNARY(name, ...)                                           \
  if constexpr (Covers::has(Row::name)) {                            \
    t->row[static_cast<int>(Row::name)][l] = ternary<Row_##name, T>; \
  }
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
}

}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
