#include "treadle/backend/cpu/bf16_product.h"

#if defined(__x86_64__) && defined(__linux__)
#define TREADLE_BF16_PAIRS
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace treadle::backend::cpu {

#ifdef TREADLE_BF16_PAIRS

namespace {

// The kernel grants the use of tiles once for the process.
bool find_tiles() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const bool bf16 = d >> 22 & 1, tiles = d >> 24 & 1;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return bf16 && tiles &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
bool has_tiles() {
  static const bool has = find_tiles();
  return has;
}
bool has_pairs() {
  static const bool has = __builtin_cpu_supports("avx512bf16") &&
                          __builtin_cpu_supports("avx512vl");
  return has;
}

// All eight tiles are 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

__attribute__((target("amx-tile"))) void open_tiles() {
  static const TileConfig config;
  _tile_loadconfig(&config);
}
__attribute__((target("amx-tile"))) void close_tiles() { _tile_release(); }

// Blocks of 32 x 32: tiles 0 to 3 are sums, 4 and 5 of a, 6 and 7 of b.
template <bool two_rows, bool two_columns>
__attribute__((target("amx-tile,amx-bf16"))) inline void tile_block(
    const Bf16Product& p, int64_t i, int64_t j, bool add) {
  const auto a_step = size_t(p.a_row) * 2, b_step = size_t(p.b_row) * 4,
             c_step = size_t(p.c_row) * 4;
  float *c0 = p.c + i * p.c_row + j, *c1 = c0 + 16 * p.c_row;
  if (add) {
    _tile_loadd(0, c0, c_step);
    if (two_columns) _tile_loadd(1, c0 + 16, c_step);
    if (two_rows) _tile_loadd(2, c1, c_step);
    if (two_rows && two_columns) _tile_loadd(3, c1 + 16, c_step);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const uint16_t* a = p.a + i * p.a_row;
  const uint32_t* b = p.b + j;
  for (int64_t k = 0; k < p.depth; k += 32, a += 32, b += 16 * p.b_row) {
    _tile_loadd(4, a, a_step);
    _tile_loadd(6, b, b_step);
    _tile_dpbf16ps(0, 4, 6);
    if (two_columns) {
      _tile_loadd(7, b + 16, b_step);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (two_rows) {
      _tile_loadd(5, a + 16 * p.a_row, a_step);
      _tile_dpbf16ps(2, 5, 6);
      if (two_columns) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c0, c_step);
  if (two_columns) _tile_stored(1, c0 + 16, c_step);
  if (two_rows) _tile_stored(2, c1, c_step);
  if (two_rows && two_columns) _tile_stored(3, c1 + 16, c_step);
}

__attribute__((target("amx-tile,amx-bf16"))) void multiply_tiles(
    const Bf16Product& p, bool add) {
  for (int64_t i = 0; i < p.m; i += 32) {
    for (int64_t j = 0; j < p.n; j += 32) {
      const bool rows = i + 32 <= p.m, columns = j + 32 <= p.n;
      if (rows && columns) {
        tile_block<true, true>(p, i, j, add);
      } else if (rows) {
        tile_block<true, false>(p, i, j, add);
      } else if (columns) {
        tile_block<false, true>(p, i, j, add);
      } else {
        tile_block<false, false>(p, i, j, add);
      }
    }
  }
}

// 8 rows of 16 or 32 columns in registers.
template <int V>
__attribute__((target("avx512f,avx512vl,avx512bf16"))) inline void pair_block(
    const Bf16Product& p, int64_t i, int64_t j, bool add) {
  constexpr int R = 8;
  __m512 sum[R][V];
  float* const c = p.c + i * p.c_row + j;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      sum[r][v] =
          add ? _mm512_loadu_ps(c + r * p.c_row + v * 16) : _mm512_setzero_ps();
    }
  }
  const uint16_t* a = p.a + i * p.a_row;
  const uint32_t* b = p.b + j;
  for (int64_t k = 0; k < p.depth; k += 2, a += 2, b += p.b_row) {
    __m512bh row[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) row[v] = (__m512bh)_mm512_loadu_ps(b + v * 16);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      int32_t pair;
      __builtin_memcpy(&pair, a + r * p.a_row, 4);
      const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v)
        sum[r][v] = _mm512_dpbf16_ps(sum[r][v], x, row[v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v)
      _mm512_storeu_ps(c + r * p.c_row + v * 16, sum[r][v]);
  }
}

__attribute__((target("avx512f,avx512vl,avx512bf16"))) void multiply_pairs(
    const Bf16Product& p, bool add) {
  for (int64_t j = 0; j < p.n; j += 32) {
    for (int64_t i = 0; i < p.m; i += 8) {
      j + 32 <= p.n ? pair_block<2>(p, i, j, add) : pair_block<1>(p, i, j, add);
    }
  }
}

}  // namespace

bool has_bf16_product() { return has_tiles() || has_pairs(); }

Bf16Scope::Bf16Scope() : tiles_(has_tiles()) {
  if (tiles_) open_tiles();
}
Bf16Scope::~Bf16Scope() {
  if (tiles_) close_tiles();
}
void Bf16Scope::multiply(const Bf16Product& p, bool add) const {
  tiles_ ? multiply_tiles(p, add) : multiply_pairs(p, add);
}

#else

bool has_bf16_product() { return false; }
Bf16Scope::Bf16Scope() : tiles_(false) {}
Bf16Scope::~Bf16Scope() = default;
void Bf16Scope::multiply(const Bf16Product&, bool) const {}

#endif

}  // namespace treadle::backend::cpu
