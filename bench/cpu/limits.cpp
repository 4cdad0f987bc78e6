// Physical limits of this CPU: FMA peak (f32), bf16 peak of vdpbf16ps and of
// AMX, memory bandwidth.
//   g++ -O3 -march=native -pthread limits.cpp -o limits && ./limits
//   [array_MiB=1024]
// Needs AVX-512F; the bf16 parts need AVX512_BF16 and AMX_BF16. Prints one line
// of JSON at the end.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <immintrin.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
using clk = std::chrono::steady_clock;
static double now() {
  return std::chrono::duration<double>(clk::now().time_since_epoch()).count();
}

static double parallel(
    int nt, const std::function<void(int)>& f) {  // seconds, barrier-started
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> ts;
  for (int t = 0; t < nt; ++t)
    ts.emplace_back([&, t] {
      ready++;
      while (!go) {
      }
      f(t);
    });
  while (ready < nt) {
  }
  double t0 = now();
  go = true;
  for (auto& t : ts) t.join();
  return now() - t0;
}

// 12 independent accumulators in registers (the compiler would spill them
// otherwise)
#define TWELVE(I)                                                    \
  I "%%zmm0\n" I "%%zmm1\n" I "%%zmm2\n" I "%%zmm3\n" I "%%zmm4\n" I \
    "%%zmm5\n" I "%%zmm6\n" I "%%zmm7\n" I "%%zmm8\n" I "%%zmm9\n" I \
    "%%zmm10\n" I "%%zmm11\n"
#define CLOBBER                                                           \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
      "xmm9", "xmm10", "xmm11", "xmm30", "xmm31"
#define ZERO "vpxorq %%zmm30,%%zmm30,%%zmm30\nvpxorq %%zmm31,%%zmm31,%%zmm31\n"
static void fma_loop(long n) {
  asm volatile(ZERO
               "1:\n" TWELVE("vfmadd231ps %%zmm30,%%zmm31,") "dec %0\njnz 1b"
               : "+r"(n)::CLOBBER);
}
static void bf16_loop(long n) {
#ifdef __AVX512BF16__
  asm volatile(ZERO "1:\n" TWELVE("vdpbf16ps %%zmm30,%%zmm31,") "dec %0\njnz 1b"
               : "+r"(n)::CLOBBER);
#endif
}
#ifdef __AMX_BF16__
// Four accumulators, two tiles of each operand: what a blocked product keeps
// busy.
static void amx_loop(long n) {
  alignas(64) struct {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  alignas(64) static const uint8_t zeros[1024] = {};
  // the intrinsic tells g++ of eight bytes read; it would drop the other stores
  asm volatile("" ::"r"(&config) : "memory");
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, zeros, 64);
  _tile_loadd(5, zeros, 64);
  _tile_loadd(6, zeros, 64);
  _tile_loadd(7, zeros, 64);
  for (; n; --n) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}
// Linux gives tiles only to processes that ask.
static bool amx_permitted() {
  const int request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}
#endif
static volatile float sink;

static double best(int reps, const std::function<double()>& f) {
  double b = 0;
  for (int r = 0; r < reps; ++r) b = std::max(b, f());
  return b;
}

int main(int argc, char** argv) {
  size_t mib = argc > 1 ? atol(argv[1]) : 1024;
  size_t n = mib * (1 << 20) / 4;
  auto alloc = [&] {
    void* p = mmap(nullptr,
                   n * 4,
                   PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS,
                   -1,
                   0);
    madvise(p, n * 4, MADV_HUGEPAGE);
    return (float*)p;
  };
  float *a = alloc(), *b = alloc(), *c = alloc();
  parallel(2, [&](int t) {
    for (size_t i = n / 2 * t; i < n / 2 * (t + 1); ++i)
      a[i] = 1, b[i] = 2, c[i] = 3;
  });
  std::string json = "{";
  auto put = [&](const char* k, int nt, double v) {
    printf("%-16s threads=%d  %9.1f\n", k, nt, v);
    char buf[128];
    snprintf(buf,
             sizeof buf,
             "%s\"%s_%d\": %.1f",
             json.size() > 1 ? ", " : "",
             k,
             nt,
             v);
    json += buf;
  };
  for (int nt : {1, 2}) {
    const long it = 60'000'000;
    put("f32_fma_gflops", nt, best(5, [&] {
          double s = parallel(nt, [&](int) { fma_loop(it / 4); });
          return nt * (it / 4) * 12 * 16 * 2.0 / s / 1e9;
        }));
#ifdef __AVX512BF16__
    put("bf16_dp_gflops", nt, best(5, [&] {
          double s = parallel(nt, [&](int) { bf16_loop(it / 4); });
          return nt * (it / 4) * 12 * 32 * 2.0 / s / 1e9;
        }));
#endif
#ifdef __AMX_BF16__
    if (amx_permitted()) {
      put("bf16_amx_gflops", nt, best(5, [&] {
            const long tiles = 3'000'000;
            double s = parallel(nt, [&](int) { amx_loop(tiles); });
            return nt * tiles * 4 * 16 * 16 * 32 * 2.0 / s / 1e9;
          }));
    }
#endif
    auto span = [&](int t, size_t& lo, size_t& hi) {
      lo = n / nt * t / 64 * 64;
      hi = n / nt * (t + 1) / 64 * 64;
    };
    for (int streams :
         {1, 4, 8})  // several streams per thread keep more prefetchers busy
      put(streams == 1   ? "read_gbs"
          : streams == 4 ? "read4_gbs"
                         : "read8_gbs",
          nt,
          best(7, [&] {
            double s = parallel(nt, [&](int t) {
              size_t lo, hi;
              span(t, lo, hi);
              size_t len = (hi - lo) / streams / 64 * 64;
              const float* p = a + lo;
              auto go = [&](auto S) {
                __m512 z = _mm512_setzero_ps(), r[4] = {z, z, z, z};
                for (size_t i = 0; i < len; i += 32)
                  for (int k = 0; k < S; ++k) {
                    r[k % 4] = _mm512_add_ps(r[k % 4],
                                             _mm512_load_ps(p + k * len + i));
                    r[(k + 1) % 4] = _mm512_add_ps(
                        r[(k + 1) % 4], _mm512_load_ps(p + k * len + i + 16));
                  }
                sink = _mm512_reduce_add_ps(_mm512_add_ps(
                    _mm512_add_ps(r[0], r[1]), _mm512_add_ps(r[2], r[3])));
              };
              if (streams == 1)
                go(std::integral_constant<int, 1>{});
              else if (streams == 4)
                go(std::integral_constant<int, 4>{});
              else
                go(std::integral_constant<int, 8>{});
            });
            return n * 4.0 / s / 1e9;
          }));
    for (int nts : {0, 1}) {  // plain and non-temporal stores; bytes counted
                              // without the write-allocate read
      put(nts ? "copy_nt_gbs" : "copy_gbs", nt, best(7, [&] {
            double s = parallel(nt, [&](int t) {
              size_t lo, hi;
              span(t, lo, hi);
              const float* pa = a;
              float* pb = b;
              for (size_t i = lo; i < hi; i += 16) {
                __m512 v = _mm512_load_ps(pa + i);
                nts ? _mm512_stream_ps(pb + i, v) : _mm512_store_ps(pb + i, v);
              }
              _mm_sfence();
            });
            return n * 8.0 / s / 1e9;
          }));
      put(nts ? "triad_nt_gbs" : "triad_gbs", nt, best(7, [&] {
            double s = parallel(nt, [&](int t) {
              size_t lo, hi;
              span(t, lo, hi);
              __m512 q = _mm512_set1_ps(3.f);
              const float *pa = a, *pb = b;
              float* pc = c;
              for (size_t i = lo; i < hi; i += 16) {
                __m512 v = _mm512_fmadd_ps(
                    q, _mm512_load_ps(pb + i), _mm512_load_ps(pa + i));
                nts ? _mm512_stream_ps(pc + i, v) : _mm512_store_ps(pc + i, v);
              }
              _mm_sfence();
            });
            return n * 12.0 / s / 1e9;
          }));
    }
  }
  printf("%s}\n", json.c_str());
}
