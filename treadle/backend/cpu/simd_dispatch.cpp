// Which instruction sets the machine has: what Highway's dispatch asks its
// library for. Highway's own answer lies in a library that measures a clock
// when it is loaded, which takes a quarter of the time to import Treadle; so it
// is loaded with the first sort instead (vector_sort.cpp).
#ifdef TREADLE_OWN_DISPATCH

#include <atomic>

#include <cpuid.h>

#include "treadle/backend/cpu/simd_targets.h"

#pragma GCC visibility push(hidden)
#include "hwy/targets.h"

namespace hwy {

namespace {

constinit std::atomic<int64_t> pretended{0};
constinit ChosenTarget chosen;

bool has_bit(unsigned leaf, unsigned bit) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(leaf, &a, &b, &c, &d) && (c >> bit & 1);
}

// What a target of Highway's may use, as in its documentation. The builtin
// tells too whether the system saves the wide registers.
int64_t find_targets() {
  __builtin_cpu_init();
  int64_t found = HWY_SSE4;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
      __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
      has_bit(1, 29) /* f16c */ && has_bit(0x80000001, 5) /* lzcnt */) {
    found |= HWY_AVX2;
    if (__builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd")) {
      found |= HWY_AVX3;
    }
  }
  return found;
}

}  // namespace

int64_t SupportedTargets() {
  static const int64_t found = find_targets();
  const int64_t wanted = pretended.load(std::memory_order_relaxed);
  return wanted ? wanted : found;
}

void SetSupportedTargetsForTest(int64_t targets) {
  pretended.store(targets, std::memory_order_relaxed);
}

ChosenTarget& GetChosenTarget() { return chosen; }

}  // namespace hwy

#pragma GCC visibility pop

#endif
