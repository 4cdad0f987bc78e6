// Vector code of chains (lane_table.h). A link is a function that takes eight
// vectors in registers, applies its row to them and calls the next link as the
// last thing it does, which the compiler turns into a jump: a chain is a loop
// body put together from ready pieces.
#include <cmath>
#include <cstring>

#include "treadle/backend/cpu/lane_table.h"
#include "treadle/backend/cpu/row_groups.h"
#include "treadle/backend/cpu/simd_targets.h"

// The order matters: foreach_target.h includes this file for each target.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/chains.cpp"
#include "hwy/foreach_target.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "treadle/backend/cpu/halves-inl.h"
#include "treadle/backend/cpu/rows-inl.h"
#include "treadle/backend/cpu/sums-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

constexpr size_t kVectors = 8;  // of a block
constexpr int kMemory = static_cast<int>(LinkForm::memory);
constexpr int kSplat = static_cast<int>(LinkForm::splat);
constexpr int kBlock = static_cast<int>(LinkForm::block);
constexpr int kBf16 = static_cast<int>(LinkForm::bfloat16);
constexpr int kF16 = static_cast<int>(LinkForm::float16);

// `link` is at byte `at` of its memory.
template <class T>
using Call = void (*)(const Link* link,
                      size_t at,
                      Raw<T> v0,
                      Raw<T> v1,
                      Raw<T> v2,
                      Raw<T> v3,
                      Raw<T> v4,
                      Raw<T> v5,
                      Raw<T> v6,
                      Raw<T> v7);

#define TREADLE_LINK(T)                                                     \
  const Link *link, [[maybe_unused]] size_t at, [[maybe_unused]] Raw<T> v0, \
      [[maybe_unused]] Raw<T> v1, [[maybe_unused]] Raw<T> v2,               \
      [[maybe_unused]] Raw<T> v3, [[maybe_unused]] Raw<T> v4,               \
      [[maybe_unused]] Raw<T> v5, [[maybe_unused]] Raw<T> v6,               \
      [[maybe_unused]] Raw<T> v7
// f(v0, 0), f(v1, 1), ...
#define TREADLE_EACH(f) \
  f(v0, 0), f(v1, 1), f(v2, 2), f(v3, 3), f(v4, 4), f(v5, 5), f(v6, 6), f(v7, 7)

template <class T, class... V>
HWY_INLINE void next(const Link* link, size_t at, V... v) {
  ++link;
  return reinterpret_cast<Call<T>>(link->fn)(link, at, v...);
}

// Vector i of an operand.
template <class T, int form>
HWY_INLINE Raw<T> read(const char* p, size_t at, size_t i) {
  const Tag<T> t;
  if constexpr (form == kSplat) {
    return hn::Set(t, *reinterpret_cast<const T*>(p));
  } else if constexpr (form == kBf16 || form == kF16) {
    const auto* from = reinterpret_cast<const uint16_t*>(p + at / 2);
    const auto half = hn::LoadU(DU16(), from + i * hn::Lanes(t));
    return form == kBf16 ? from_bfloat16(half) : from_float16(half);
  } else {
    const size_t from = form == kBlock ? 0 : at;
    return hn::LoadU(t,
                     reinterpret_cast<const T*>(p + from) + i * hn::Lanes(t));
  }
}

// A result as a vector: truth values are 0 or 1 in the bits.
template <class T>
HWY_INLINE Raw<T> raw(Vec<T> v) {
  return v.v;
}
template <class T>
HWY_INLINE Raw<T> raw(Mask<T> m) {
  return hn::BitCast(Tag<T>(), Run<Mask<T>>::unwrap(m));
}
template <class T>
HWY_INLINE Mask<T> truth(Raw<T> v) {
  return Run<Mask<T>>::wrap(hn::BitCast(typename Run<Mask<T>>::D(), v));
}

template <class T, int form>
void load_link(TREADLE_LINK(T)) {
  const char* p = link->p;
#define TREADLE_ONE(v, i) read<T, form>(p, at, i)
  next<T>(link, at, TREADLE_EACH(TREADLE_ONE));
#undef TREADLE_ONE
}

template <class T, class F>
void unary_link(TREADLE_LINK(T)) {
#define TREADLE_ONE(v, i) raw(F::of(Vec<T>{v}))
  next<T>(link, at, TREADLE_EACH(TREADLE_ONE));
#undef TREADLE_ONE
}

template <class T, class F, LinkSide side>
HWY_INLINE Raw<T> apply(Raw<T> x, Raw<T> y) {
  if constexpr (side == LinkSide::left) {
    return raw(F::of(Vec<T>{x}, Vec<T>{y}));
  } else {
    return raw(F::of(Vec<T>{y}, Vec<T>{x}));
  }
}
template <class T, class F, LinkSide side, int form>
void binary_link(TREADLE_LINK(T)) {
  const char* p = link->p;
#define TREADLE_ONE(v, i) apply<T, F, side>(v, read<T, form>(p, at, i))
  next<T>(link, at, TREADLE_EACH(TREADLE_ONE));
#undef TREADLE_ONE
}
template <class T, class F, LinkSide side, int form_p, int form_q>
void product_link(TREADLE_LINK(T)) {
  const char *p = link->p, *q = link->q;
#define TREADLE_ONE(v, i) \
  apply<T, F, side>(      \
      v, hn::Mul(read<T, form_p>(p, at, i), read<T, form_q>(q, at, i)))
  next<T>(link, at, TREADLE_EACH(TREADLE_ONE));
#undef TREADLE_ONE
}
template <class T, class F>
void twice_link(TREADLE_LINK(T)) {
#define TREADLE_ONE(v, i) apply<T, F, LinkSide::left>(v, v)
  next<T>(link, at, TREADLE_EACH(TREADLE_ONE));
#undef TREADLE_ONE
}

// The vectors are the condition, the value where it holds, or the other value.
template <class T, int place>
HWY_INLINE Raw<T> choose(Raw<T> x, Raw<T> p, Raw<T> q) {
  if constexpr (place == 0) {
    return vm::select(truth<T>(x), Vec<T>{p}, Vec<T>{q}).v;
  } else if constexpr (place == 1) {
    return vm::select(truth<T>(p), Vec<T>{x}, Vec<T>{q}).v;
  } else {
    return vm::select(truth<T>(p), Vec<T>{q}, Vec<T>{x}).v;
  }
}
template <class T, int place, int form_p, int form_q>
void select_link(TREADLE_LINK(T)) {
  const char *p = link->p, *q = link->q;
#define TREADLE_ONE(v, i) \
  choose<T, place>(v, read<T, form_p>(p, at, i), read<T, form_q>(q, at, i))
  next<T>(link, at, TREADLE_EACH(TREADLE_ONE));
#undef TREADLE_ONE
}

// Vector i of a result of `vectors` vectors a block.
template <LinkStore store, size_t vectors, class D, class V>
HWY_INLINE void put(V v, D d, hn::TFromD<D>* to, size_t i) {
  auto* p = to + i * hn::Lanes(d);
  if constexpr (store == LinkStore::past) {
    hn::Stream(v, d, p);
  } else {
    if constexpr (store == LinkStore::far) {
      hwy::Prefetch(p + vectors * hn::Lanes(d));
    }
    hn::StoreU(v, d, p);
  }
}
#define TREADLE_ONE(v, i) put<store, kVectors>(v, t, to, i)
template <class T, bool block, LinkStore store>
void keep_link(TREADLE_LINK(T)) {
  const Tag<T> t;
  T* to = reinterpret_cast<T*>(const_cast<char*>(link->p) + (block ? 0 : at));
  TREADLE_EACH(TREADLE_ONE);
  next<T>(link, at, v0, v1, v2, v3, v4, v5, v6, v7);
}
template <class T, LinkStore store>
void last_link(TREADLE_LINK(T)) {
  const Tag<T> t;
  T* to = reinterpret_cast<T*>(const_cast<char*>(link->p) + at);
  TREADLE_EACH(TREADLE_ONE);
}
#undef TREADLE_ONE
void sum_link(TREADLE_LINK(float)) {
  auto& sum = *reinterpret_cast<FloatSum*>(const_cast<char*>(link->p));
  sum.take_four(v0, v1, v2, v3);
  sum.take_four(v4, v5, v6, v7);
}

template <class T>
LinkFn link_fn(Call<T> f) {
  return reinterpret_cast<LinkFn>(f);
}

struct ToBf16 {
  static HWY_INLINE hn::Vec<DU16> of(Raw<float> x) { return to_bfloat16(x); }
  static HWY_INLINE hn::Vec<Tag<uint16_t>> of(Raw<float> lo, Raw<float> hi) {
    return to_bfloat16(lo, hi);
  }
  static HWY_INLINE Raw<float> back(hn::Vec<DU16> x) {
    return from_bfloat16(x);
  }
};
struct ToF16 {
  static HWY_INLINE hn::Vec<DU16> of(Raw<float> x) { return to_float16(x); }
  static HWY_INLINE hn::Vec<Tag<uint16_t>> of(Raw<float> lo, Raw<float> hi) {
    return hn::Combine(Tag<uint16_t>(), of(hi), of(lo));
  }
  static HWY_INLINE Raw<float> back(hn::Vec<DU16> x) { return from_float16(x); }
};
template <class To>
void round_link(TREADLE_LINK(float)) {
#define TREADLE_ONE(v, i) To::back(To::of(v))
  next<float>(link, at, TREADLE_EACH(TREADLE_ONE));
#undef TREADLE_ONE
}
template <class To, LinkStore store>
void last_half_link(TREADLE_LINK(float)) {
  const Tag<uint16_t> t;
  auto* to = reinterpret_cast<uint16_t*>(const_cast<char*>(link->p) + at / 2);
  put<store, kVectors / 2>(To::of(v0, v1), t, to, 0);
  put<store, kVectors / 2>(To::of(v2, v3), t, to, 1);
  put<store, kVectors / 2>(To::of(v4, v5), t, to, 2);
  put<store, kVectors / 2>(To::of(v6, v7), t, to, 3);
}

// After a chain: g++ leaves this to a callee that takes vectors, and the callee
// to its caller. Without it the next code without vectors waits.
HWY_INLINE void clear_upper_halves() {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  _mm256_zeroupper();
#endif
}

// Copies bytes, and none beyond them.
HWY_INLINE void copy_bytes(char* to, const char* from, size_t bytes) {
  const Tag<uint8_t> d;
  const size_t lanes = hn::Lanes(d), whole = bytes - bytes % lanes;
  auto* out = reinterpret_cast<uint8_t*>(to);
  const auto* in = reinterpret_cast<const uint8_t*>(from);
  for (size_t i = 0; i < whole; i += lanes) {
    hn::StoreU(hn::LoadU(d, in + i), d, out + i);
  }
  std::memcpy(to + whole, from + whole, bytes - whole);
}

// Less than a block, on copies of a block's size.
template <class T>
HWY_NOINLINE void run_rest(const Link* links,
                           int count,
                           size_t at,
                           size_t rest) {
  const Tag<T> t;
  const size_t block = kVectors * hn::Lanes(t) * sizeof(T);
  const auto zero = hn::Zero(t);
  HWY_ALIGN char memory[2 * kMostLinks][kVectors * HWY_MAX_BYTES];
  char(*copy)[kVectors * HWY_MAX_BYTES] = memory;
  // Of a lane of so many bytes: where the rest begins, and how long it is.
  const auto offset = [&](size_t bytes) { return at / sizeof(T) * bytes; };
  const auto length = [&](size_t bytes) { return rest / sizeof(T) * bytes; };
  Link some[kMostLinks];  // not all zero: that would take longer than the rest
  some[0] = links[0];
  int now = 0;
  const auto read = [&](const char* p, size_t bytes) -> const char* {
    // What an earlier link has written there.
    for (int i = now; i-- > 0;) {
      if (links[i].write_p && links[i].p == p) return some[i].p;
    }
    std::memset(*copy, 0, block);
    copy_bytes(*copy, p + offset(bytes), length(bytes));
    return *copy++ - offset(bytes);
  };
  for (; now < count; ++now) {
    Link& l = some[now] = links[now];
    if (l.copy_p) l.p = read(l.p, l.copy_p);
    if (l.copy_q) l.q = read(l.q, l.copy_q);
    if (l.write_p) l.p = *copy++ - offset(l.write_p);
  }
  reinterpret_cast<Call<T>>(some->fn)(
      some, at, zero, zero, zero, zero, zero, zero, zero, zero);
  for (int i = 0; i < count; ++i) {
    const size_t bytes = links[i].write_p;
    if (bytes == 0) continue;
    copy_bytes(const_cast<char*>(links[i].p) + offset(bytes),
               some[i].p + offset(bytes),
               length(bytes));
  }
  clear_upper_halves();
}

// All whole blocks; gives where they end.
template <class T>
HWY_INLINE size_t run_blocks(const Link* links, size_t at, size_t end) {
  const Tag<T> t;
  const size_t block = kVectors * hn::Lanes(t) * sizeof(T);
  const auto zero = hn::Zero(t);
  const auto first = reinterpret_cast<Call<T>>(links->fn);
  for (; at + block <= end; at += block) {
    first(links, at, zero, zero, zero, zero, zero, zero, zero, zero);
  }
  clear_upper_halves();
  return at;
}

template <class T>
void run_chain(const Link* links, int count, size_t from, size_t n) {
  const size_t end = (from + n) * sizeof(T);
  const size_t at = run_blocks<T>(links, from * sizeof(T), end);
  if (at < end) run_rest<T>(links, count, at, end - at);
}

void sum_chain(Link* links, int count, size_t from, size_t n, double* to) {
  FloatSum sum;
  Link& last = links[count - 1];
  last.write_p = 0;
  last.fn = link_fn<float>(sum_link);
  last.p = reinterpret_cast<const char*>(&sum);
  const size_t end = (from + n) * sizeof(float);
  const size_t at = run_blocks<float>(links, from * sizeof(float), end);
  if (at < end) {
    HWY_ALIGN char rest[kVectors * HWY_MAX_BYTES];
    last.fn = link_fn<float>(last_link<float, LinkStore::near>);
    last.p = rest - at;
    run_rest<float>(links, count, at, end - at);
    sum.take((end - at) / sizeof(float), reinterpret_cast<const float*>(rest));
  }
  *to += sum.total();
}

template <class T, class F>
void fill_unary(ChainTable* t, Row row) {
  t->unary[static_cast<int>(row)] = link_fn<T>(unary_link<T, F>);
}
template <class T, class F>
void fill_binary(ChainTable* t, Row row) {
  constexpr LinkSide left = LinkSide::left, right = LinkSide::right;
  auto& fns = t->binary[static_cast<int>(row)];
  fns[0][kMemory] = link_fn<T>(binary_link<T, F, left, kMemory>);
  fns[0][kSplat] = link_fn<T>(binary_link<T, F, left, kSplat>);
  fns[1][kMemory] = link_fn<T>(binary_link<T, F, right, kMemory>);
  fns[1][kSplat] = link_fn<T>(binary_link<T, F, right, kSplat>);
  fns[0][kBlock] = link_fn<T>(binary_link<T, F, left, kBlock>);
  fns[1][kBlock] = link_fn<T>(binary_link<T, F, right, kBlock>);
  if constexpr (sizeof(T) == 4) {
    fns[0][kBf16] = link_fn<T>(binary_link<T, F, left, kBf16>);
    fns[0][kF16] = link_fn<T>(binary_link<T, F, left, kF16>);
    fns[1][kBf16] = link_fn<T>(binary_link<T, F, right, kBf16>);
    fns[1][kF16] = link_fn<T>(binary_link<T, F, right, kF16>);
  }
  t->twice[static_cast<int>(row)] = link_fn<T>(twice_link<T, F>);
}
template <class T, class F, int p, int q>
void fill_product(ChainTable* t, Row row) {
  auto& fns = t->product[static_cast<int>(row)];
  fns[0][p][q] = link_fn<T>(product_link<T, F, LinkSide::left, p, q>);
  fns[1][p][q] = link_fn<T>(product_link<T, F, LinkSide::right, p, q>);
}
template <class T, class F, int p>
void fill_product(ChainTable* t, Row row) {
  fill_product<T, F, p, kMemory>(t, row);
  fill_product<T, F, p, kSplat>(t, row);
  fill_product<T, F, p, kBlock>(t, row);
}
template <class T, class F>
void fill_product(ChainTable* t, Row row) {
  fill_product<T, F, kMemory>(t, row);
  fill_product<T, F, kSplat>(t, row);
  fill_product<T, F, kBlock>(t, row);
}
template <class T, int place, int p>
void fill_select(ChainTable* t) {
  auto& fns = t->select[place][p];
  fns[kMemory] = link_fn<T>(select_link<T, place, p, kMemory>);
  fns[kSplat] = link_fn<T>(select_link<T, place, p, kSplat>);
  fns[kBlock] = link_fn<T>(select_link<T, place, p, kBlock>);
}
template <class T, int place>
void fill_select(ChainTable* t) {
  fill_select<T, place, kMemory>(t);
  fill_select<T, place, kSplat>(t);
  fill_select<T, place, kBlock>(t);
}

template <class T, LinkStore store>
void fill_last(ChainTable* t) {
  constexpr int k = static_cast<int>(store);
  t->keep[0][k] = link_fn<T>(keep_link<T, false, store>);
  t->last[k] = link_fn<T>(last_link<T, store>);
  if constexpr (sizeof(T) == 4) {
    t->last_half[0][k] = link_fn<T>(last_half_link<ToBf16, store>);
    t->last_half[1][k] = link_fn<T>(last_half_link<ToF16, store>);
  }
}

template <class T>
void fill_lane(ChainTable* t) {
#define UNARY(name, ...)                                 \
  if constexpr (is_chained(Row::name, sizeof(T) == 4)) { \
    fill_unary<T, Row_##name>(t, Row::name);             \
  }
#define BINARY(name, ...)                                \
  if constexpr (is_chained(Row::name, sizeof(T) == 4)) { \
    fill_binary<T, Row_##name>(t, Row::name);            \
  }                                                      \
  if constexpr (takes_product(Row::name)) {              \
    fill_product<T, Row_##name>(t, Row::name);           \
  }
#define TERNARY(name, ...)
#include "treadle/ops/elementwise.def"
#undef UNARY
#undef BINARY
#undef TERNARY
  if constexpr (sizeof(T) == 4) {
    fill_select<T, 0>(t);
    fill_select<T, 1>(t);
    fill_select<T, 2>(t);
    t->sum = sum_chain;
    t->load[kBf16] = link_fn<T>(load_link<T, kBf16>);
    t->load[kF16] = link_fn<T>(load_link<T, kF16>);
    t->round[0] = link_fn<T>(round_link<ToBf16>);
    t->round[1] = link_fn<T>(round_link<ToF16>);
  }
  t->load[kMemory] = link_fn<T>(load_link<T, kMemory>);
  t->load[kSplat] = link_fn<T>(load_link<T, kSplat>);
  t->load[kBlock] = link_fn<T>(load_link<T, kBlock>);
  t->keep[1][0] = link_fn<T>(keep_link<T, true, LinkStore::near>);
  fill_last<T, LinkStore::near>(t);
  fill_last<T, LinkStore::far>(t);
  fill_last<T, LinkStore::past>(t);
  t->run = run_chain<T>;
}

void fill(LaneTable* t) {
  fill_lane<float>(&t->chain[0]);
  fill_lane<double>(&t->chain[1]);
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(fill);
void fill_chains(LaneTable* t) { HWY_DYNAMIC_DISPATCH(fill)(t); }

}  // namespace treadle::backend::cpu
#endif
