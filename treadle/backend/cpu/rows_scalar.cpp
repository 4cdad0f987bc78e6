// Every row of elementwise.def for every lane it takes, one element at a time:
// the oracle, and what the tape runs where no vector code exists.

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/vm.h"

namespace treadle::backend::cpu {
namespace {

// A row's value of one lane.
#define UNARY(name, rule, lane, ...) \
  struct Row_##name {                \
    template <class T>               \
    static auto of(T x) {            \
      return lane;                   \
    }                                \
  };
#define BINARY(name, rule, lane, ...) \
  struct Row_##name {                 \
    template <class T>                \
    static auto of(T a, T b) {        \
      return lane;                    \
    }                                 \
  };
#define TERNARY(name, rule, lane, ...)     \
  struct Row_##name {                      \
    template <class T>                     \
    static auto of(uint32_t a, T b, T c) { \
      return lane;                         \
    }                                      \
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
  using Out = decltype(F::of(T()));
  const T* x = static_cast<const T*>(a);
  Out* y = static_cast<Out*>(out);
  const size_t sx = flags & 1 ? 0 : 1;
  for (size_t i = 0; i < n; ++i) y[i] = F::of(x[i * sx]);
}

template <class F, class T>
void binary(size_t n,
            void* out,
            const void* a,
            const void* b,
            const void*,
            unsigned flags) {
  using Out = decltype(F::of(T(), T()));
  const T* pa = static_cast<const T*>(a);
  const T* pb = static_cast<const T*>(b);
  Out* y = static_cast<Out*>(out);
  const size_t sa = flags & 1 ? 0 : 1, sb = flags & 2 ? 0 : 1;
  for (size_t i = 0; i < n; ++i) y[i] = F::of(pa[i * sa], pb[i * sb]);
}

template <class F, class T>
void ternary(size_t n,
             void* out,
             const void* a,
             const void* b,
             const void* c,
             unsigned flags) {
  const uint32_t* pa = static_cast<const uint32_t*>(a);
  const T* pb = static_cast<const T*>(b);
  const T* pc = static_cast<const T*>(c);
  T* y = static_cast<T*>(out);
  const size_t sa = flags & 1 ? 0 : 1, sb = flags & 2 ? 0 : 1,
               sc = flags & 4 ? 0 : 1;
  for (size_t i = 0; i < n; ++i)
    y[i] = F::of(pa[i * sa], pb[i * sb], pc[i * sc]);
}

template <plan::Lane L>
void fill(LaneTable* t) {
  using T = LaneType<L>;
#define UNARY(name, ...)                                       \
  if constexpr (plan::takes_lane(info(Row::name).rule, L)) {   \
    t->row[static_cast<int>(Row::name)][static_cast<int>(L)] = \
        unary<Row_##name, T>;                                  \
  }
#define BINARY(name, ...)                                      \
  if constexpr (plan::takes_lane(info(Row::name).rule, L)) {   \
    t->row[static_cast<int>(Row::name)][static_cast<int>(L)] = \
        binary<Row_##name, T>;                                 \
  }
#define TERNARY(name, ...)                                     \
  if constexpr (plan::takes_lane(info(Row::name).rule, L)) {   \
    t->row[static_cast<int>(Row::name)][static_cast<int>(L)] = \
        ternary<Row_##name, T>;                                \
  }
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
}

}  // namespace

// Start: Giles, "Approximating the erfinv function" (2010), single precision
// form.
double vm::erfinv_of(double x) {
  if (!(std::fabs(x) < 1)) {
    return std::fabs(x) == 1 ? x * std::numeric_limits<double>::infinity()
                             : std::numeric_limits<double>::quiet_NaN();
  }
  double w = -std::log((1 - x) * (1 + x));
  constexpr double near[] = {2.81022636e-08,
                             3.43273939e-07,
                             -3.5233877e-06,
                             -4.39150654e-06,
                             0.00021858087,
                             -0.00125372503,
                             -0.00417768164,
                             0.246640727,
                             1.50140941};
  constexpr double far[] = {-0.000200214257,
                            0.000100950558,
                            0.00134934322,
                            -0.00367342844,
                            0.00573950773,
                            -0.0076224613,
                            0.00943887047,
                            1.00167406,
                            2.83297682};
  const bool tail = w > 16;  // beyond floats, where `far` was not fitted
  const auto& c = w < 5 ? near : far;
  w = w < 5 ? w - 2.5 : std::sqrt(w) - 3;
  double p = 0;
  for (double k : c) p = p * w + k;
  double y = p * x;
  // Newton's method on the logarithm of erfc, which is nearly a parabola.
  for (int step = 0; tail && step < 4; ++step) {
    const double a = std::fabs(y), e = std::erfc(a);
    const double off = std::log(e / (1 - std::fabs(x)));
    y = std::copysign(a + 0.8862269254527580 * off * e * std::exp(a * a), x);
  }
  for (int step = 0; step < 3; ++step) {
    const double a = std::fabs(y);
    // erf(y) - x, without cancellation in the tails.
    const double rest = (1 - std::fabs(x)) - std::erfc(a);
    const double off = a < 0.5 ? std::erf(y) - x : y < 0 ? -rest : rest;
    const double u = off / (1.1283791670955126 * std::exp(-y * y));
    y -= u / (1 + y * u);
  }
  return y;
}

void fill_scalar_rows(LaneTable* t) {
  fill<plan::Lane::f32>(t);
  fill<plan::Lane::f64>(t);
  fill<plan::Lane::i32>(t);
  fill<plan::Lane::i64>(t);
  fill<plan::Lane::u32>(t);
  fill<plan::Lane::u64>(t);
  fill<plan::Lane::c64>(t);
}

}  // namespace treadle::backend::cpu
