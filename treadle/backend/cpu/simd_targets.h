// The instruction sets that vector code is compiled for: SSE4 as the least,
// AVX2 and AVX-512 on x86, NEON on ARM. Included before any Highway header.
#pragma once

#if defined(__x86_64__) && !defined(HWY_BASELINE_TARGETS)
#define HWY_BASELINE_TARGETS HWY_SSE4
#endif
