// The counters of a key are independent of each other, so a vector hashes as
// many as it has lanes, and threads share the range of counters.
#include "treadle/backend/cpu/random.h"

#include <algorithm>
#include <cstring>

#include "treadle/backend/common/walk.h"
#include "treadle/backend/cpu/parallel.h"
#include "treadle/backend/cpu/simd_targets.h"
#include "treadle/backend/cpu/threefry.h"
#include "treadle/ops/random.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "treadle/backend/cpu/random.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace treadle::backend::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<uint32_t>;
using V = hn::Vec<D>;

// Two vectors of words at once, whose dependency chains overlap.
struct Four {
  V a0, b0, a1, b1;
};

template <int kLeft>
HWY_INLINE void mix(Four& w) {
  w.a0 = hn::Add(w.a0, w.b0);
  w.a1 = hn::Add(w.a1, w.b1);
  w.b0 = hn::Xor(hn::RotateRight<32 - kLeft>(w.b0), w.a0);
  w.b1 = hn::Xor(hn::RotateRight<32 - kLeft>(w.b1), w.a1);
}

HWY_INLINE void add_key(Four& w, uint32_t a, uint32_t b) {
  const D d;
  w.a0 = hn::Add(w.a0, hn::Set(d, a));
  w.a1 = hn::Add(w.a1, hn::Set(d, a));
  w.b0 = hn::Add(w.b0, hn::Set(d, b));
  w.b1 = hn::Add(w.b1, hn::Set(d, b));
}

// Rows of four rounds, with the rotations of threefry.h.
HWY_INLINE void even_rounds(Four& w) {
  mix<13>(w), mix<15>(w), mix<26>(w), mix<6>(w);
}
HWY_INLINE void odd_rounds(Four& w) {
  mix<17>(w), mix<29>(w), mix<16>(w), mix<24>(w);
}

HWY_INLINE void store(V v, char* to) {
  const hn::Repartition<uint8_t, D> bytes;
  hn::StoreU(hn::BitCast(bytes, v), bytes, reinterpret_cast<uint8_t*>(to));
}

// Hashes (i, i + second) for i in [begin, end) into words i - begin of `a` and
// of `b`, for whole groups of counters; returns where it stopped.
int64_t hash_range(
    Words key, int64_t second, int64_t begin, int64_t end, char* a, char* b) {
  const D d;
  const int64_t n = int64_t(hn::Lanes(d));
  const uint32_t k0 = key.a, k1 = key.b, k2 = k0 ^ k1 ^ 0x1bd11bdau;
  int64_t i = begin;
  for (; i + 2 * n <= end; i += 2 * n) {
    V low = hn::Iota(d, uint32_t(i));
    V high = hn::Add(low, hn::Set(d, uint32_t(second)));
    V step = hn::Set(d, uint32_t(n));
    Four w{low, high, hn::Add(low, step), hn::Add(high, step)};
    add_key(w, k0, k1);
    even_rounds(w), add_key(w, k1, k2 + 1);
    odd_rounds(w), add_key(w, k2, k0 + 2);
    even_rounds(w), add_key(w, k0, k1 + 3);
    odd_rounds(w), add_key(w, k1, k2 + 4);
    even_rounds(w), add_key(w, k2, k0 + 5);
    const int64_t at = 4 * (i - begin);
    store(w.a0, a + at);
    store(w.a1, a + at + 4 * n);
    store(w.b0, b + at);
    store(w.b1, b + at + 4 * n);
  }
  return i;
}

}  // namespace
}  // namespace treadle::backend::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace treadle::backend::cpu {

HWY_EXPORT(hash_range);

namespace {

using runtime::Task;

// The words of one key (ops/random.h, RandomBits), `bytes` of them.
struct Block {
  Words key;
  char* to;
  int64_t bytes;

  int64_t words() const { return (bytes + 3) / 4; }
  int64_t half() const { return words() / 2; }

  void put(int64_t word, uint32_t v) const {
    std::memcpy(
        to + 4 * word, &v, size_t(std::min<int64_t>(4, bytes - 4 * word)));
  }
  // Counters [begin, end) of half().
  void fill(int64_t begin, int64_t end) const {
    const int64_t second = words() - half();
    // A cut word is the last one, written by the scalar loop.
    int64_t whole = bytes % 4 == 0 ? end : std::min(end, half() - 1);
    int64_t i = begin;
    if (i < whole) {
      i = HWY_DYNAMIC_DISPATCH(hash_range)(
          key, second, i, whole, to + 4 * i, to + 4 * (second + i));
    }
    for (; i < end; ++i) {
      Words w = threefry2x32(key, {uint32_t(i), uint32_t(i + second)});
      put(i, w.a);
      put(i + second, w.b);
    }
  }
  void fill_middle() const {
    if (words() % 2) put(half(), threefry2x32(key, {uint32_t(half()), 0}).a);
  }
};

// Counters whose words the work that follows finds in the cache.
constexpr int64_t kFollowed = 4096;

// One key's words, a piece of either half after the other, and what follows on
// each; kept only where the output has memory.
void run_followed(const Task& task) {
  const runtime::Operand &keys = task.in[0], &out = task.out[0];
  const auto* k = static_cast<const uint32_t*>(keys.data);
  const Words key{k[0], k[keys.strides.back()]};
  const int64_t words = size_of(out.shape), half = words / 2;
  const int64_t second = words - half;
  char* const kept = static_cast<char*>(out.data);
  auto follow = [&](int64_t word, int64_t count, const char* from) {
    if (kept) std::memcpy(kept + 4 * word, from, size_t(4 * count));
    runtime::run_follow(*task.follow, word, count, const_cast<char*>(from));
  };
  const int64_t pieces = (half + kFollowed - 1) / kFollowed;
  parallel_tasks(task.threads, pieces, [&](int64_t piece) {
    alignas(64) char a[4 * kFollowed], b[4 * kFollowed];
    const int64_t begin = piece * kFollowed;
    const int64_t end = std::min(half, begin + kFollowed);
    int64_t i = HWY_DYNAMIC_DISPATCH(hash_range)(key, second, begin, end, a, b);
    for (; i < end; ++i) {
      const Words w = threefry2x32(key, {uint32_t(i), uint32_t(i + second)});
      std::memcpy(a + 4 * (i - begin), &w.a, 4);
      std::memcpy(b + 4 * (i - begin), &w.b, 4);
    }
    follow(begin, end - begin, a);
    follow(second + begin, end - begin, b);
  });
  if (words % 2) {
    alignas(64) char word[4];
    const Words w = threefry2x32(key, {uint32_t(half), 0});
    std::memcpy(word, &w.a, 4);
    follow(half, 1, word);
  }
}

bool follows(const Task& task) {
  return static_cast<const RandomBits&>(task.op).width == 4 &&
         size_of(task.in[0].shape) == 2 &&
         size_of(task.out[0].shape) > 4 * kFollowed;
}

void run(const Task& task) {
  if (task.follow) return run_followed(task);
  const runtime::Operand &keys = task.in[0], &out = task.out[0];
  const auto& op = static_cast<const RandomBits&>(task.op);
  const int64_t bytes = size_of(op.shape) * op.width;
  const auto* k = static_cast<const uint32_t*>(keys.data);
  const int64_t count = size_of(keys.shape) / 2;
  if (count == 0 || bytes == 0) return;
  Shape lead = keys.shape;
  Strides strides = keys.strides;
  const int64_t second = strides.back();
  lead.back() = 1;  // one row of the walk is one key
  auto block = [&](const Rows<1>& r, int64_t i) {
    const uint32_t* at = k + r.offset(0);
    return Block{
        {at[0], at[second]}, static_cast<char*>(out.data) + i * bytes, bytes};
  };
  // Hashing a byte takes about as long as moving it.
  const int threads = threads_for(task.threads, count * bytes);
  if (count < 4 * threads) {
    Rows<1> r(lead, {&strides, 1});
    for (int64_t i = 0; i < count; ++i, r.next()) {
      Block b = block(r, i);
      parallel_for(threads, b.half(), [&](int64_t begin, int64_t end) {
        b.fill(begin, end);
      });
      b.fill_middle();
    }
    return;
  }
  parallel_for(threads, count, [&](int64_t begin, int64_t end) {
    Rows<1> r(lead, {&strides, 1});
    r.skip(begin);
    for (int64_t i = begin; i < end; ++i, r.next()) {
      Block b = block(r, i);
      b.fill(0, b.half());
      b.fill_middle();
    }
  });
}

}  // namespace

runtime::Kernel random_bits() {
  return {.name = "cpu::random_bits",
          .run = run,
          .strided = true,
          .follows = follows};
}

}  // namespace treadle::backend::cpu
#endif  // HWY_ONCE
