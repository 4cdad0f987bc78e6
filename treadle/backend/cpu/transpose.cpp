// A tile is turned around in a buffer in the first-level cache and leaves it in
// whole rows, which may bypass the caches: half the memory traffic of stores
// that first read what they overwrite, and no eviction by strides of a power of
// two.
#include "treadle/backend/cpu/transpose.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace treadle::backend::cpu {

namespace {

// A tile of the result. Along its rows the source is read in runs of about 512
// bytes, long enough for prefetching and few enough pages for the TLB; along
// its columns the result is written in runs of two cache lines, or of eight
// where they are not aligned with lines, since the ends then take the slow way.
// A matrix that is narrower than this gets tiles that are longer the other way.
struct Tile {
  int64_t rows, columns;
};
constexpr int64_t kTileBytes = 16 << 10;

Tile tile_of(const Transposition& t) {
  const int64_t width = int64_t(t.width), most = kTileBytes / width;
  const bool aligned = t.to_step * width % 64 == 0;
  int64_t columns = std::min((aligned ? 128 : 512) / width, t.columns);
  int64_t rows = std::min(most / columns, t.rows);
  if (columns < t.columns) {
    int64_t line = 64 / width;
    columns = std::max(columns, most / rows / line * line);
  }
  return {rows, columns};
}

// A 16-byte register; the compiler maps it to SSE, NEON or plain code.
template <class T>
struct Vec {
  typedef T type __attribute__((vector_size(16)));
};
template <class T>
using V = typename Vec<T>::type;

template <class T>
V<T> load(const T* p) {
  V<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
void store(T* p, V<T> v) {
  std::memcpy(p, &v, sizeof v);
}

// Interleaves the low (high) halves of a and b.
#define TREADLE_ZIP(name, T, ...)                      \
  inline V<T> name(V<T> a, V<T> b) {                   \
    return __builtin_shufflevector(a, b, __VA_ARGS__); \
  }
TREADLE_ZIP(
    zip_low, uint8_t, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
TREADLE_ZIP(zip_high,
            uint8_t,
            8,
            24,
            9,
            25,
            10,
            26,
            11,
            27,
            12,
            28,
            13,
            29,
            14,
            30,
            15,
            31)
TREADLE_ZIP(zip_low, uint16_t, 0, 8, 1, 9, 2, 10, 3, 11)
TREADLE_ZIP(zip_high, uint16_t, 4, 12, 5, 13, 6, 14, 7, 15)
TREADLE_ZIP(zip_low, uint32_t, 0, 4, 1, 5)
TREADLE_ZIP(zip_high, uint32_t, 2, 6, 3, 7)
TREADLE_ZIP(zip_low, uint64_t, 0, 2)
TREADLE_ZIP(zip_high, uint64_t, 1, 3)
#undef TREADLE_ZIP

// Calls f(0), ... f(n - 1) in a form that keeps arrays in registers.
template <size_t n, class F>
[[gnu::always_inline]] inline void unrolled(F f) {
  [&]<size_t... i>(std::index_sequence<i...>) {
    (f(std::integral_constant<size_t, i>()), ...);
  }
  (std::make_index_sequence<n>());
}

// A square as wide as a register. Each round interleaves register i with i +
// N/2, which rotates the bits of an element's number (register, lane) by one;
// after log2(N) rounds the two halves have changed places.
template <class T>
void transpose_square(const T* from,
                      int64_t from_step,
                      T* to,
                      int64_t to_step) {
  constexpr size_t n = 16 / sizeof(T);
  V<T> a[n], b[n];
  unrolled<n>([&](auto i) { a[i] = load(from + int64_t(i) * from_step); });
  auto round = [&](const V<T>* x, V<T>* y) {
    unrolled<n / 2>([&](auto i) {
      y[2 * i] = zip_low(x[i], x[i + n / 2]);
      y[2 * i + 1] = zip_high(x[i], x[i + n / 2]);
    });
  };
  unrolled<std::bit_width(n) - 1>(
      [&](auto i) { i % 2 ? round(b, a) : round(a, b); });
  const V<T>* result = std::bit_width(n) % 2 ? a : b;
  unrolled<n>([&](auto i) { store(to + int64_t(i) * to_step, result[i]); });
}

// rows x columns of the result.
template <class T>
void transpose_block(const T* from,
                     int64_t from_step,
                     T* to,
                     int64_t to_step,
                     int64_t rows,
                     int64_t columns) {
  constexpr int64_t n = 16 / sizeof(T);
  const int64_t full_rows = rows / n * n, full_columns = columns / n * n;
  for (int64_t k = 0; k < full_columns; k += n) {
    for (int64_t i = 0; i < full_rows; i += n) {
      transpose_square(
          from + k * from_step + i, from_step, to + i * to_step + k, to_step);
    }
  }
  for (int64_t k = 0; k < columns; ++k) {
    for (int64_t i = k < full_columns ? full_rows : 0; i < rows; ++i) {
      to[i * to_step + k] = from[k * from_step + i];
    }
  }
}

// One row of a tile to memory that is not read soon. Whole cache lines go past
// the caches, parts of lines do not: the neighbouring tile completes them.
void stream_row(char* to, const char* from, int64_t bytes) {
#ifdef __SSE2__
  auto part = int64_t(-reinterpret_cast<uintptr_t>(to) % 64);
  part = std::min(part, bytes);
  std::memcpy(to, from, size_t(part));
  for (; part + 64 <= bytes; part += 64) {
    for (int64_t i = part; i < part + 64; i += 16) {
      __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
      _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), v);
    }
  }
  std::memcpy(to + part, from + part, size_t(bytes - part));
#else
  std::memcpy(to, from, size_t(bytes));
#endif
}

template <class T>
void run(const Transposition& t, int64_t begin, int64_t end, bool stream) {
  const auto [rows, columns] = tile_of(t);
  const int64_t across = (t.columns + columns - 1) / columns;
  alignas(64) T buffer[kTileBytes / sizeof(T)];
  for (int64_t tile = begin; tile < end; ++tile) {
    int64_t i = tile / across * rows, k = tile % across * columns;
    int64_t m = std::min(rows, t.rows - i),
            n = std::min(columns, t.columns - k);
    const T* from = reinterpret_cast<const T*>(t.from) + k * t.from_step + i;
    T* to = reinterpret_cast<T*>(t.to) + i * t.to_step + k;
    if (!stream) {
      transpose_block(from, t.from_step, to, t.to_step, m, n);
      continue;
    }
    transpose_block(from, t.from_step, buffer, columns, m, n);
    if (t.to_step == columns) {  // the rows of the tile are one run
      stream_row(reinterpret_cast<char*>(to),
                 reinterpret_cast<const char*>(buffer),
                 m * n * int64_t(sizeof(T)));
      continue;
    }
    for (int64_t r = 0; r < m; ++r) {
      stream_row(reinterpret_cast<char*>(to + r * t.to_step),
                 reinterpret_cast<const char*>(buffer + r * columns),
                 n * int64_t(sizeof(T)));
    }
  }
#ifdef __SSE2__
  if (stream) _mm_sfence();
#endif
}

}  // namespace

int64_t transpose_tiles(const Transposition& t) {
  const auto [rows, columns] = tile_of(t);
  return ((t.rows + rows - 1) / rows) * ((t.columns + columns - 1) / columns);
}

void transpose(const Transposition& t,
               int64_t begin,
               int64_t end,
               bool stream) {
  switch (t.width) {
    case 1:
      return run<uint8_t>(t, begin, end, stream);
    case 2:
      return run<uint16_t>(t, begin, end, stream);
    case 4:
      return run<uint32_t>(t, begin, end, stream);
    default:
      return run<uint64_t>(t, begin, end, stream);
  }
}

}  // namespace treadle::backend::cpu
