// Copying n floats with all OpenMP threads, plainly or past the caches (stores
// that read nothing): the bandwidth that optimizers.py compares with.
#include <stddef.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

void copy(
    float* to, const float* from, size_t n, int past_caches, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (ptrdiff_t block = 0; block < (ptrdiff_t)(n / 4096); ++block) {
    float* a = to + block * 4096;
    const float* b = from + block * 4096;
#ifdef __SSE2__
    if (past_caches) {
      for (int i = 0; i < 4096; i += 4)
        _mm_stream_ps(a + i, _mm_loadu_ps(b + i));
      continue;
    }
#endif
    for (int i = 0; i < 4096; ++i) a[i] = b[i];
  }
#ifdef __SSE2__
  _mm_sfence();
#endif
}
