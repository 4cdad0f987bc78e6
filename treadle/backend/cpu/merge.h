// Sorting a long row with several threads: parts are sorted, then merged by
// twos. The merges are cut into pieces of equal length, whose ends in both
// parts are found by binary search.
#pragma once

#include <algorithm>
#include <cstdint>

#include "treadle/backend/cpu/parallel.h"

namespace treadle::backend::cpu {

// How many of the first k keys of the merged a (na) and b (nb) are of a. Of
// equal keys those of a come first.
template <class K>
int64_t keys_of_first(
    const K* a, int64_t na, const K* b, int64_t nb, int64_t k) {
  int64_t low = std::max<int64_t>(0, k - nb), high = std::min(k, na);
  while (low < high) {
    int64_t i = low + (high - low) / 2;
    if (b[k - i - 1] < a[i]) {
      high = i;
    } else {
      low = i + 1;
    }
  }
  return low;
}

// Merges sorted a (na) and b (nb) into out. Four stretches side by side, as
// each key waits for the comparison before it.
template <class K>
void merge_keys(const K* a, int64_t na, const K* b, int64_t nb, K* out) {
  constexpr int kWays = 4;
  struct Way {
    const K *a, *a_end, *b, *b_end;
    K* out;
    int64_t sure() const { return std::min(a_end - a, b_end - b); }
    void step() {
      const bool second = *b < *a;
      *out++ = second ? *b : *a;
      a += !second;
      b += second;
    }
  } ways[kWays];
  int64_t from_a = 0, from_b = 0;
  for (int w = 0; w < kWays; ++w) {
    const int64_t end = (na + nb) * (w + 1) / kWays;
    const int64_t to_a = keys_of_first(a, na, b, nb, end), to_b = end - to_a;
    ways[w] = {
        a + from_a, a + to_a, b + from_b, b + to_b, out + from_a + from_b};
    from_a = to_a;
    from_b = to_b;
  }
  // As many steps as no way can run out of keys in.
  for (;;) {
    int64_t steps = ways[0].sure();
    for (const Way& w : ways) steps = std::min(steps, w.sure());
    if (steps == 0) break;
    Way w0 = ways[0], w1 = ways[1], w2 = ways[2], w3 = ways[3];
    for (int64_t i = 0; i < steps; ++i) {
      w0.step();
      w1.step();
      w2.step();
      w3.step();
    }
    ways[0] = w0;
    ways[1] = w1;
    ways[2] = w2;
    ways[3] = w3;
  }
  for (Way& w : ways) {
    while (w.sure() > 0) w.step();
    w.out = std::copy(w.a, w.a_end, w.out);
    std::copy(w.b, w.b_end, w.out);
  }
}

// How often the parts of n keys are merged by twos; each doubles their length.
inline int merge_rounds(int64_t n, int threads) {
  int rounds = 0;
  while ((1 << rounds) < threads && (n >> rounds) > (1 << 16)) ++rounds;
  return rounds;
}

// Sorts n keys. They lie in `a` when merge_rounds is even, else in `b`, and end
// up in `a`; sort_part(keys, count) sorts a part.
template <class K, class F>
void parallel_sort(K* a, K* b, int64_t n, int threads, F&& sort_part) {
  const int rounds = merge_rounds(n, threads);
  const int64_t parts = int64_t{1} << rounds;
  auto begin_of = [&](int64_t part) { return n * part / parts; };
  K *from = rounds % 2 ? b : a, *to = rounds % 2 ? a : b;
  parallel_tasks(threads, parts, [&](int64_t p) {
    sort_part(from + begin_of(p), begin_of(p + 1) - begin_of(p));
  });
  for (int64_t width = 1; width < parts; width *= 2) {
    // As many pieces as there are parts at the beginning, times two.
    const int64_t pairs = parts / (2 * width), pieces = 4 * width;
    parallel_tasks(threads, pairs * pieces, [&](int64_t task) {
      const int64_t first = task / pieces * 2 * width, piece = task % pieces;
      const int64_t begin = begin_of(first), middle = begin_of(first + width),
                    end = begin_of(first + 2 * width);
      const K *x = from + begin, *y = from + middle;
      const int64_t nx = middle - begin, ny = end - middle;
      const int64_t low = (nx + ny) * piece / pieces,
                    high = (nx + ny) * (piece + 1) / pieces;
      const int64_t low_x = keys_of_first(x, nx, y, ny, low),
                    high_x = keys_of_first(x, nx, y, ny, high);
      merge_keys(x + low_x,
                 high_x - low_x,
                 y + (low - low_x),
                 (high - high_x) - (low - low_x),
                 to + begin + low);
    });
    std::swap(from, to);
  }
}

}  // namespace treadle::backend::cpu
